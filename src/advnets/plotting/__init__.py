"""Pictures and plots from arrays."""
