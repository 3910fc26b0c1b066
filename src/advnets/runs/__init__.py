"""Runs: the list of all models, training from a configuration, trained runs."""
