"""What the scripts need on a machine with nothing but Python: a venv, Debian packages.

Standard library only.
"""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_STAMP = "installed.json"
# Debian starts a service when its package is installed. The tests start what they need by
# themselves, so policy-rc.d (invoke-rc.d(8)) says no meanwhile, unless this machine
# has one of its own.
_WITHOUT_SERVICES = """
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  trap 'exit 130' INT TERM HUP
  printf '#!/bin/sh\\nexit 101\\n' >"$policy" && chmod 755 "$policy"
fi
"$@"
"""
_SERVICES = {
    "unbound": "unbound",
    "dnsdist": "dnsdist",
    "bind9": "named",
    "haproxy": "haproxy",
    "dante-server": "danted",
    "krb5-kdc": "krb5-kdc",
    "krb5-admin-server": "krb5-admin-server",
}
_PRINTING = threading.Lock()


class CannotPrepareError(Exception):
    """Something is missing that this user may not install; the text says what to type."""


_PRINTING = threading.Lock()


def bin_dir(venv: Path) -> Path:
    """Return the folder of a venv's programs."""
    return venv / ("Scripts" if sys.platform == "win32" else "bin")


def venv_python(venv: Path) -> Path:
    """Return a venv's interpreter."""
    return bin_dir(venv) / ("python.exe" if sys.platform == "win32" else "python")


def ensure_venv(venv: Path, install: Sequence[str], depends_on: Iterable[Path] = ()) -> bool:
    """Make the venv and pip-install ``install`` in it, unless that is already so.

    It is already so when the last complete installation was the same: the arguments,
    the Python, the project's requirements and the content of ``depends_on``. Then
    nothing is asked of the network. Returns whether something was installed.
    """
    wanted = _fingerprint(install, depends_on)
    stamp = venv / _STAMP
    if _read(stamp) == wanted and _works(venv_python(venv)):
        return False
    stamp.unlink(missing_ok=True)
    if not _works(venv_python(venv)):
        _make_venv(venv)
    say(f"installing {' '.join(install)} in {venv}")
    pip = [str(venv_python(venv)), "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    if subprocess.run([*pip, *install], cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode:
        raise CannotPrepareError(
            f"pip could not install {' '.join(install)}: its own words are above."
        )
    stamp.write_text(wanted, encoding="utf-8")
    return True


def ensure_debian_packages(programs: Mapping[str, str]) -> list[str]:
    """Install the Debian packages of programs that are missing; return what stays missing.

    ``programs`` maps a program to its package. Nothing happens where all are there.
    """
    missing = {program: package for program, package in programs.items() if not which(program)}
    if missing:
        apt_install(sorted(set(missing.values())))
    return sorted(package for program, package in missing.items() if not which(program))


def apt_install(packages: Sequence[str]) -> bool:
    """Install Debian packages where this user may without being asked; say if it was done."""
    apt = shutil.which("apt-get")
    if apt is None:
        return False
    root: list[str] = []
    if os.geteuid() != 0:
        sudo = shutil.which("sudo")
        if sudo is None or _quiet([sudo, "-n", "true"]):
            return False
        root = [sudo, "-n", "env", "DEBIAN_FRONTEND=noninteractive"]
    install = [apt, "install", "-y", "--no-install-recommends", *packages]
    install = [*root, "sh", "-c", _WITHOUT_SERVICES, "sh", *install]
    say(f"installing Debian packages: {' '.join(packages)}")
    # A fresh machine has no package lists: fetch them only when the first try fails.
    if _quiet(install) and (_quiet([*root, apt, "update"]) or _quiet(install)):
        return False
    if units := [_SERVICES[package] for package in packages if package in _SERVICES]:
        _quiet([*root, "systemctl", "disable", *units])  # nor at the next boot
    return True


def which(program: str) -> str | None:
    """Find a program; Debian keeps some out of a plain user's PATH."""
    return shutil.which(program, path=system_path())


def system_path() -> str:
    """Return PATH with the folders where Debian keeps `ip`."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def say(text: str) -> None:
    """Print a line at once and whole: the demo prints from two threads."""
    with _PRINTING:
        print(text, flush=True)


def _make_venv(venv: Path) -> None:
    if not _can_make_venv():
        # Debian's Python comes without ensurepip; a Python from elsewhere has it.
        apt_install(["python3-venv"])
        if not _can_make_venv():
            raise CannotPrepareError(
                f"{sys.executable} cannot make a virtual environment: ensurepip is missing.\n"
                "Type: apt-get install python3-venv (as root), then start this again."
            )
    say(f"making {venv}")
    make = [sys.executable, "-m", "venv", "--clear", str(venv)]
    if subprocess.run(make, stdin=subprocess.DEVNULL, check=False).returncode:
        raise CannotPrepareError(f"{' '.join(make)} failed: its own words are above.")
    # Python writes this file itself from 3.13 on.
    (venv / ".gitignore").write_text("*\n", encoding="utf-8")


def _can_make_venv() -> bool:
    importlib.invalidate_caches()
    return all(importlib.util.find_spec(name) for name in ("venv", "ensurepip"))


def _works(python: Path) -> bool:
    return python.exists() and not _quiet([str(python), "-m", "pip", "--version"])


def _quiet(command: Sequence[str]) -> int:
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environ,
            check=False,
        )
    except OSError:
        return 127
    return done.returncode


def _fingerprint(install: Sequence[str], depends_on: Iterable[Path]) -> str:
    with (ROOT / "pyproject.toml").open("rb") as file:
        pyproject = tomllib.load(file)
    files = hashlib.sha256()
    for path in sorted(depends_on):
        content = path.read_bytes()
        files.update(f"{path.relative_to(ROOT)}\0{len(content)}\0".encode())
        files.update(content)
    facts = {
        "install": list(install),
        "python": [sys.version, sys.prefix],
        "clone": str(ROOT),
        "project": pyproject["project"],
        "build": pyproject["build-system"],
        "files": files.hexdigest(),
    }
    return json.dumps(facts, sort_keys=True, indent=1)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return None
