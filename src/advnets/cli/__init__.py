"""The command `advnets`."""

from advnets.cli.command import main as main
