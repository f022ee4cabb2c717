"""What this machine is called in the places that tools come from."""

import platform
import sys

_WORKERD_SYSTEMS = {"linux": "linux", "darwin": "darwin", "win32": "windows"}
_MACHINES = {
    "x86_64": "64",
    "amd64": "64",
    "aarch64": "arm64",
    "arm64": "arm64",
}


def here() -> str:
    """Return a name for this machine, for entries in the store: ``linux-x86_64``."""
    return f"{sys.platform}-{platform.machine().lower()}"


def abi() -> str:
    """Return a name for what compiled modules of the running Python fit: ``cp311``."""
    name = {"cpython": "cp", "pypy": "pp"}.get(sys.implementation.name, sys.implementation.name)
    threads = "t" if "t" in getattr(sys, "abiflags", "") else ""
    return f"{name}{sys.version_info.major}{sys.version_info.minor}{threads}"


def workerd_package() -> str | None:
    """Return the npm package with workerd's binary for this machine, None if there is none."""
    system = _WORKERD_SYSTEMS.get(sys.platform)
    machine = _MACHINES.get(platform.machine().lower())
    return f"@cloudflare/workerd-{system}-{machine}" if system and machine else None


def executable(name: str) -> str:
    """Return the file name of a compiled program."""
    return f"{name}.exe" if sys.platform == "win32" else name
