"""The command line: `python -m helpers.run --help`."""

import sys

from helpers.runner.commands import main

if __name__ == "__main__":
    sys.exit(main())
