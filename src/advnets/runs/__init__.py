"""Composition: the list of all models, a run from its configuration, a trained run."""
