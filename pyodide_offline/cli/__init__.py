"""The command line: one file a command; the only place that knows click and rich."""

import sys


def main() -> None:
    """Run the command line and exit with its status."""
    try:
        from pyodide_offline.cli.boundary import guarded, leave
    except KeyboardInterrupt:  # guarded knows of it from then on
        sys.exit(130)
    try:
        guarded()
    except SystemExit as error:
        leave(error)
