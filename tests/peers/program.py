"""Programs that tests write. A shebang can hold no space, and a clone may lie behind one."""

import sys
from pathlib import Path


def text(source: str) -> str:
    """Return a file that is both: a shell line that starts this Python on it, and its source.

    The shell reads `'''exec'` as exec; Python reads the two lines as a string.
    """
    return f"#!/bin/sh\n'''exec' \"{sys.executable}\" \"$0\" \"$@\"\n' '''\n{source}"


def write(path: Path, source: str) -> None:
    """Write a Python program that can be started at this path."""
    path.write_text(text(source))
    path.chmod(0o755)
