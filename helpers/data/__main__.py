"""The command line: `python -m helpers.data get NAME`."""

import argparse
import os
import sys
from collections.abc import Sequence

from helpers import paths
from helpers.data.fetch import CATALOGUE, get
from helpers.errors import BadInput
from helpers.files import given_path


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0, 2 if something could not be fetched (the others of the command are not tried then), 130."""
    parser = argparse.ArgumentParser(prog="python -m helpers.data", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    about = "Download datasets, check and unpack them. It asks nothing, and continues what was cut."
    made = commands.add_parser("get", help="download datasets", description=about, allow_abbrev=False)
    made.add_argument("names", nargs="*", metavar="NAME")
    made.add_argument("--list", action="store_true", help="show the names")
    made.add_argument("--data-dir", metavar="FOLDER", help="default: data/ here, or the variable CROWD_DATA")
    given = parser.parse_args(arguments)
    try:
        if given.list:
            for name, entry in CATALOGUE.items():
                print(f"{name:<16} {entry.what}")
            return 0
        if not given.names:
            raise BadInput(f"name a dataset: {', '.join(CATALOGUE)}")
        place = given.data_dir or os.environ.get("CROWD_DATA") or paths.ROOT / "data"
        for name in given.names:
            get(name, given_path("--data-dir", place).resolve())
        return 0
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; the same command continues where it was", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
