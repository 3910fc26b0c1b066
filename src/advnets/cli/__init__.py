"""The command `advnets`."""
