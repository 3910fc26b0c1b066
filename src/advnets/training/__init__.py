"""The one training loop, and the monitor that reads its log."""
