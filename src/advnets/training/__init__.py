"""The training loop, and the monitor that reads its log."""
