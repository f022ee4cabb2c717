"""CA files that npm's and pip's own settings files name; their variables are in ``trust``.

- npm: ``cafile``, and ``ca``, which holds certificates themselves, so that the .npmrc is one
  more file with certificates in it. The strongest file that has one wins, as in npm.
- pip: ``cert`` of [install], else of [global].

Once a variable of ours names another file for npm and pip, theirs must be in it.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from pyodide_offline import npmfile
from pyodide_offline.network import borrowed
from pyodide_offline.network.trust import Source

_NONE = ("", "null", "undefined", "false")


def sources(environ: Mapping[str, str], project: Path) -> list[Source]:
    """Return what npm and pip would use in this folder. Small files, no program asked."""
    return [*_npm(environ, project), *_pip(environ, project)]


def _npm(environ: Mapping[str, str], project: Path) -> Iterator[Source]:
    cafile = ca = True
    for file in borrowed.texts(borrowed.npm_files(environ, project)):
        if "ca" not in file.content:
            continue
        for key, value in npmfile.parse(file.content, environ):
            if key == "cafile" and cafile and value not in _NONE:
                cafile = False
                yield Source(_path(value, project), f"cafile in {file.path}")
            elif key in ("ca", "ca[]") and "BEGIN" in value and ca:
                ca = False
                yield Source(Path(file.path), "npm's ca")


def _pip(environ: Mapping[str, str], project: Path) -> Iterator[Source]:
    if environ.get("PIP_CERT") or environ.get("PIP_CONFIG_FILE") == os.devnull:
        return
    files = borrowed.texts(borrowed.pip_files(environ))
    for section in ("install", "global"):
        for file in files:
            if "cert" in file.content and (value := borrowed.option(file.content, section, "cert")):
                yield Source(_path(value, project), f"{section}.cert in {file.path}")
                return


def _path(value: str, project: Path) -> Path:
    """Return a path as npm and pip take it: relative to where they are started."""
    return project / Path(value).expanduser()
