"""Packages from the Python index that the user's pip is configured for, into a folder."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pyodide_offline import process
from pyodide_offline.errors import NetworkError, ToolchainError
from pyodide_offline.session import Session
from pyodide_offline.workers.toolchain import programs

# What a user's own settings may say for their environments, and must not mean for a folder.
_NEUTRAL = {
    "PIP_USER": "0",
    "PIP_REQUIRE_VIRTUALENV": "0",
    "PIP_NO_INPUT": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
}
# pip's words before it gives up on an index that does not answer.
_UNREACHED = ("NewConnectionError", "ConnectTimeoutError", "NameResolutionError", "ProxyError")
_UNWANTED = ("PIP_PREFIX", "PIP_TARGET", "PIP_ROOT", "PIP_DRY_RUN", "PYTHONHOME", "PYTHONPATH")


def install(
    session: Session, target: Path, requirements: Sequence[str], *, dependencies: bool = True
) -> None:
    """Install wheels into a folder with pip, else uv. Raises ToolchainError."""
    what = " and ".join(requirements)
    command = _installer(session, what)
    if not dependencies:
        command.append("--no-deps")
    environ = {name: value for name, value in session.environ.items() if name not in _UNWANTED}
    done = process.capture(
        [*command, "--target", target, "--only-binary", ":all:", *requirements],
        env={**environ, **_NEUTRAL},
        timeout=1800,
    )
    if done.status != 0:
        programs.refuse_full_disk(done.stderr, session.store.root)
        said = done.stderr or done.stdout
        from pyodide_offline.network import mirrored

        unreached = any(sign in said for sign in _UNREACHED)
        raise (NetworkError if unreached else ToolchainError)(
            f"Cannot get {what} from the Python package index.",
            why=_reason(said),
            next_step=mirrored.advice(
                session.environ, "Check which index pip uses: pip config list"
            ),
        )


def configuration(session: Session) -> dict[str, str]:
    """Return what pip is told by its files and variables: ``index-url``, ``cert`` and so on.

    What is said for all commands gives way to what is said for ``install``, and both to a
    variable, as in pip. Empty without pip.
    """
    if not _has_pip():
        return {}
    done = process.capture(
        [sys.executable, "-m", "pip", "config", "list"], env=session.environ, timeout=60
    )
    import ast

    told: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in done.stdout.splitlines():
        key, _, value = line.partition("=")
        section, _, option = key.rpartition(".")
        with suppress(ValueError, SyntaxError):
            if section in told and isinstance(text := ast.literal_eval(value), str):
                told[section][option] = text
    return {**told["global"], **told["install"], **told[":env:"]}


def _has_pip() -> bool:
    import importlib.util

    return importlib.util.find_spec("pip") is not None


def _installer(session: Session, what: str) -> list[str]:
    if _has_pip():
        return [sys.executable, "-m", "pip", "install", "--quiet", "--no-warn-script-location"]
    if uv := programs.which("uv", session.environ):
        return [str(uv), "pip", "install", "--quiet", "--python", sys.executable]
    raise ToolchainError(
        f"{what} cannot be installed: this Python has no pip, and there is no uv.",
        why=f"The Python is {sys.executable}.",
        next_step="Add pip to it (python -m ensurepip), or put uv on PATH.",
    )


def _reason(output: str) -> str:
    """Return the lines of pip's errors; a notice of a new pip may come last."""
    lines = output.splitlines()
    errors = [line for line in lines if line.lower().startswith("error")]
    return process.tail("\n".join(errors or lines), lines=2)
