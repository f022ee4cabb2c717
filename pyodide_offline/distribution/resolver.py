"""Which wheels a Pyodide needs: pip's own resolver and settings, with Emscripten's markers.

pip takes the platform's tags as options but evaluates markers for the Python that it runs
on, so that a package for the browser loses what is marked ``sys_platform == "emscripten"``.
Therefore pip is started through a few lines that replace the one function from which its
markers come; they make sure first that it worked, so that a pip which keeps it elsewhere
is an error and never a wrong answer. Index, login, certificates and constraints are those
of the user's pip.
"""

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from pyodide_offline import process
from pyodide_offline.distribution.emscripten import Target
from pyodide_offline.errors import (
    NetworkError,
    ProjectError,
    PyodideOfflineError,
    StorageError,
    ToolchainError,
)
from pyodide_offline.session import Session

_STALE = 93  # the exit status of "this pip keeps its markers elsewhere"
_LAUNCH = f"""
import json, sys
answers = json.loads(sys.argv[1])
try:
    from pip._internal.cli.main import main
    from pip._vendor.packaging import markers
    markers.default_environment = lambda: dict(answers)
    if not markers.Marker('sys_platform == "emscripten"').evaluate():
        sys.exit({_STALE})
except (ImportError, AttributeError):
    sys.exit({_STALE})
sys.exit(main(sys.argv[2:]))
"""
# What a user's own settings may say for their environments, and must not mean for a folder.
_NEUTRAL = {
    "PIP_REQUIRE_VIRTUALENV": "0",
    "PIP_NO_INPUT": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_COLOR": "1",
}
_UNWANTED = ("PIP_PREFIX", "PIP_TARGET", "PIP_ROOT", "PIP_DRY_RUN", "PYTHONHOME", "PYTHONPATH")
# pip's words: before it gives up on an index that does not answer, and on a full disk.
_UNREACHED = ("NewConnectionError", "ConnectTimeoutError", "NameResolutionError", "ProxyError")
_FULL = ("No space left on device", "Disk quota exceeded")
_VERSIONS = 5  # as many are told of those that the index has
_MISSING = re.compile(r"No matching distribution found for ([A-Za-z0-9][\w.-]*)")


class NoWheelError(Exception):
    """The index has no fit wheel of ``package``. What that means only the caller knows."""

    def __init__(self, package: str, said: str) -> None:
        super().__init__(f"no fit wheel of {package}: {said}")
        self.package = package
        self.said = said

    def explained(self) -> ProjectError:
        """Return the error for a user."""
        return ProjectError(
            f"There is no wheel of {self.package} for Pyodide.",
            why=self.said,
            next_step="A wheel must be pure Python or made for Pyodide's platform; see which "
            f"there are: pip index versions {self.package}",
        )


def download(
    session: Session,
    folder: Path,
    requirements: Sequence[str],
    target: Target,
    *,
    links: Sequence[Path] = (),
    dependencies: bool = True,
    platforms: Sequence[str] = (),
    python: str | None = None,
) -> None:
    """Put the wheels of these requirements and of all they need into a folder.

    ``requirements`` are pip's own words (``-r FILE`` too), ``links`` folders with more
    wheels; ``platforms`` and ``python`` name others than Pyodide's. Raises NoWheelError,
    ProjectError, NetworkError, StorageError, ToolchainError.
    """
    series = python or target.series
    arguments = [
        *("download", "--dest", str(folder), "--quiet", "--only-binary", ":all:"),
        *(word for name in platforms or [target.platform] for word in ("--platform", name)),
        *("--python-version", series, "--implementation", "cp"),
        *(word for link in links for word in ("--find-links", str(link))),
        *([] if dependencies else ["--no-deps"]),
        *requirements,
    ]
    environ = {name: value for name, value in session.environ.items() if name not in _UNWANTED}
    done = process.capture(
        [sys.executable, "-c", _LAUNCH, json.dumps(target.markers()), *arguments],
        env={**environ, **_NEUTRAL},
        cwd=session.project if session.project.is_dir() else None,
        timeout=1800,
    )
    if done.status != 0:
        raise _failure(done.status, done.stderr or done.stdout, folder)


def _failure(status: int, output: str, folder: Path) -> PyodideOfflineError | NoWheelError:
    """Turn pip's last words into an error of the kind that they tell of."""
    lines = output.splitlines()
    errors = [line for line in lines if line.lower().startswith("error")]
    why = process.tail("\n".join(errors or lines), lines=2)
    if status == _STALE:
        return ToolchainError(
            f"The pip of {sys.executable} cannot resolve for Pyodide.",
            why="It is missing, or keeps its environment markers where they are not looked for.",
            next_step="Renew it: python -m pip install --upgrade pip",
        )
    if any(sign in output for sign in _FULL):
        return StorageError(f"The disk that holds {folder}, or pip's cache, is full.", why=why)
    if any(sign in output for sign in _UNREACHED):
        return NetworkError(
            "The Python package index could not be reached.",
            why=why,
            next_step="Check which index pip uses: pip config list",
        )
    if match := _MISSING.search(output):
        first = next((line for line in errors if "Could not find" in line), errors[-1])
        return NoWheelError(match[1], process.tail(_shortened(first.partition(": ")[2])))
    return ProjectError("pip finds no set of packages that fits together for Pyodide.", why=why)


def _shortened(said: str) -> str:
    """Return pip's words with the last few of a list of versions."""
    head, word, versions = said.partition("(from versions: ")
    known = versions.rstrip(")").split(", ")
    if len(known) <= _VERSIONS:
        return said
    return f"{head}{word}…, {', '.join(known[-_VERSIONS:])})"
