"""The command line: one file a command; the only place that knows click and rich."""


def main() -> None:
    """Run the command line and exit with its status."""
    from pyodide_offline.cli.boundary import guarded

    guarded()
