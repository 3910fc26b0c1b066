"""Optimizers, schedules, moving averages, and the training state of a network."""
