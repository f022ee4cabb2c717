"""Calls of uv: with which environment, and what it says when it fails."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pyodide_offline import process, redact
from pyodide_offline.errors import (
    NetworkError,
    OfflineError,
    ProjectError,
    PyodideOfflineError,
    ToolchainError,
)
from pyodide_offline.session import Session
from pyodide_offline.store import LAYOUT
from pyodide_offline.workers.toolchain import programs

_INDEX_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX")
_TRUST_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "UV_SYSTEM_CERTS", "UV_NATIVE_TLS")
# Each would point uv at another environment than the one that is meant (pywrangler takes
# them out for the same reason), or let this Python's packages into Pyodide.
_MISLEADING = (
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "UV_PYTHON",
    "UV_PROJECT_ENVIRONMENT",
    "PYTHONHOME",
    "PYTHONPATH",
)
_UNCACHED = re.compile(
    r"[Bb]ecause (?:only )?([A-Za-z0-9][\w.-]*)[^.]*? (?:was|were) not found in the cache"
)
# The first where the index has sources as well, the second where it has wheels only.
_NO_WHEELS = re.compile(
    r"([A-Za-z0-9][\w.-]*)(?:[<>=!,.*\w]*)? (?:has|have) no "
    r"(?:usable wheels|wheels with a matching \w+ tag)"
)
_UNREACHED = ("Failed to fetch", "error sending request", "dns error", "Request failed after")
_LONGEST = 400


def settings(session: Session, pythons: Path, told: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that make uv use the store, and the index that pip uses.

    ``told`` is pip's configuration. Variables that the user has set stay theirs.
    """
    wanted = {"UV_CACHE_DIR": str(session.store.root / LAYOUT / "uv-cache")}
    if not _has_index(session) and (index := told.get("index-url")):
        wanted["UV_DEFAULT_INDEX"] = index
    ours = {name: value for name, value in wanted.items() if not session.environ.get(name)}
    return {
        **ours,
        "UV_PYTHON_INSTALL_DIR": str(pythons),
        "UV_PYTHON_DOWNLOADS": "never",
        # Without it uv asks pywrangler's extra index, which is out of reach.
        "UV_OFFLINE": "1",
    }


def trust(session: Session, told: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that make uv trust whom pip trusts: the system's, or pip's file.

    uv brings its own list of authorities, in which a company's is not.
    """
    if any(session.environ.get(name) for name in _TRUST_VARIABLES):
        return {}
    cert = told.get("cert")
    return {"SSL_CERT_FILE": cert} if cert else {"UV_SYSTEM_CERTS": "1"}


def clean(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what would mislead uv."""
    return {name: value for name, value in environ.items() if name not in _MISLEADING}


def run(
    uv: Path,
    arguments: Sequence[str | Path],
    *,
    environ: Mapping[str, str],
    cwd: Path,
    doing: str,
) -> None:
    """Run uv. Raises what ``failure`` makes of its words, ToolchainError if it cannot start."""
    plain = {"UV_NO_PROGRESS": "1", "NO_COLOR": "1"}
    done = process.capture([uv, *arguments], env={**environ, **plain}, cwd=cwd, timeout=1800)
    if done.status != 0:
        programs.refuse_full_disk(done.stderr, cwd)
        offline = environ.get("UV_OFFLINE") == "1"
        raise failure(doing, done.stderr or done.stdout, offline=offline, environ=environ)


def failure(
    doing: str, output: str, *, offline: bool, environ: Mapping[str, str] | None = None
) -> PyodideOfflineError:
    """Turn uv's last words into an error of the kind that they tell of."""
    from pyodide_offline.network import mirrored

    text = " ".join(output.split())
    if offline and (match := _UNCACHED.search(text)):
        return OfflineError(
            f"The package {match[1]} is not in uv's cache, and nothing may be fetched.",
            next_step="Type once where a package index answers: pyodide-offline prefetch",
        )
    why = redact.text(" ".join(meaningful(output)))[:_LONGEST]
    if not offline and any(sign in text for sign in _UNREACHED):
        return NetworkError(
            f"uv cannot {doing}: the package index could not be reached.",
            why=why,
            next_step=mirrored.advice(
                environ or {},
                "Name your index in UV_DEFAULT_INDEX or pip's index-url, or check the proxy.",
            ),
        )
    if wheels := sorted(set(_NO_WHEELS.findall(text))):
        return ProjectError(
            f"uv cannot {doing}: no wheel for Python Workers of {', '.join(wheels)}.",
            why="A wheel must be pure Python or made for Pyodide, and the index has none that is.",
            next_step="Take the package that needs it out of the dependencies, or name an index "
            "that has it.",
        )
    if "No solution found" in text:
        return ProjectError(
            f"uv cannot {doing}.",
            why=why,
            next_step="Correct the dependencies in pyproject.toml, or name an index that has them.",
        )
    return ToolchainError(f"uv cannot {doing}.", why=why)


def meaningful(output: str) -> list[str]:
    """Return the first lines from the mark of an error on, without marks and ornaments."""
    lines = [re.sub(r"^[^\w`'\"(/]+", "", line).strip() for line in output.splitlines()]
    lines = [line for line in lines if line]
    for number, line in enumerate(lines):
        if re.match(r"error\b|no solution found|failed to", line, re.IGNORECASE):
            return [re.sub(r"^(?i:error):?\s+", "", one) for one in lines[number : number + 5]]
    return lines[-3:]


def _has_index(session: Session) -> bool:
    """Say whether the user has told uv itself which index to use."""
    if any(session.environ.get(name) for name in _INDEX_VARIABLES):
        return True
    home = Path(session.environ.get("HOME") or Path.home())
    config = Path(session.environ.get("XDG_CONFIG_HOME") or home / ".config")
    project = session.project
    files = [project / "uv.toml", config / "uv" / "uv.toml", Path("/etc/uv/uv.toml")]
    tables = [_table(file) for file in files]
    tool = _table(project / "pyproject.toml").get("tool")
    if isinstance(tool, dict) and isinstance(tool.get("uv"), dict):
        tables.append(tool["uv"])
    return any("index" in table or "index-url" in table for table in tables)


def _table(file: Path) -> dict[str, object]:
    with suppress(OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return tomllib.loads(file.read_text(encoding="utf-8"))
    return {}
