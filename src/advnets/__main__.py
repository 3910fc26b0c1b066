"""`python -m advnets` is the command `advnets`."""

import sys

from advnets.cli import main

if __name__ == "__main__":
    sys.exit(main())
