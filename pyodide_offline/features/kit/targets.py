"""The platforms that a kit can be made for, as npm, wheels and uv name them. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from packaging import tags
from packaging.tags import Tag

from pyodide_offline.distribution.npmlock import Platform
from pyodide_offline.distribution.pythonlock import Wheel
from pyodide_offline.errors import UnsupportedError

# Node's wheels ask for glibc 2.28, the oldest that its own builds run on.
_GLIBC = range(28, 4, -1)
_OLD_NAMES = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
# What workerd's binaries ask for.
_MACOS = (14, 0)


@dataclass(frozen=True)
class Target:
    """One platform: ``npm`` as Node names it, ``uv`` as uv's --python-platform does.

    ``python`` is the end of uv's name for a native Python there.
    """

    name: str
    npm: Platform
    uv: str
    python: str
    wheels: tuple[str, ...]

    def tags(self, python: str) -> list[Tag]:
        """Return the tags of wheels that CPython of a series (``3.11``) takes there, best first."""
        version = tuple(int(part) for part in python.split(".")[:2])
        interpreter = f"cp{version[0]}{version[1]}"
        return [
            *tags.cpython_tags(version, platforms=self.wheels),
            *tags.compatible_tags(version, interpreter, platforms=self.wheels),
        ]


def pyodide_tags(python: str, wheels: Iterable[Wheel]) -> list[Tag]:
    """Return the tags that a Pyodide takes, pure wheels last.

    Its platform (PEP 783, ``pyemscripten_2026_0_wasm32``) is not known here: a lock that was
    made for it names no other.
    """
    version = tuple(int(part) for part in python.split(".")[:2])
    interpreter = f"cp{version[0]}{version[1]}"
    named = (one.file.removesuffix(".whl").rpartition("-")[2] for one in wheels)
    platforms = sorted({name for name in named if name.endswith("_wasm32")}, reverse=True)
    return [
        *(tags.cpython_tags(version, platforms=platforms) if platforms else ()),
        *tags.compatible_tags(version, interpreter, platforms=platforms or ["any"]),
    ]


def named(name: str) -> Target:
    """Return the target of a name. Raises UnsupportedError."""
    if name in TARGETS:
        return TARGETS[name]
    raise UnsupportedError(
        f"A kit cannot be made for {name}.",
        next_step=f"Name one of: {', '.join(TARGETS)}.",
    )


def here(platform: str, machine: str) -> Target:
    """Return the target of ``sys.platform`` and ``platform.machine()``. Raises UnsupportedError."""
    cpu = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
    return named(f"{platform}-{cpu.get(machine.lower(), machine.lower())}")


def _linux(machine: str) -> Iterator[str]:
    for minor in _GLIBC:
        yield f"manylinux_2_{minor}_{machine}"
        if minor in _OLD_NAMES:
            yield f"{_OLD_NAMES[minor]}_{machine}"
    yield f"linux_{machine}"


def _table() -> Mapping[str, Target]:
    mac = {
        cpu: tuple(tags.mac_platforms(_MACOS, arch))
        for cpu, arch in (("arm64", "arm64"), ("x64", "x86_64"))
    }
    rows = (
        Target(
            "linux-x64",
            Platform("linux", "x64", "glibc"),
            "x86_64-manylinux_2_28",
            "linux-x86_64-gnu",
            tuple(_linux("x86_64")),
        ),
        Target(
            "linux-arm64",
            Platform("linux", "arm64", "glibc"),
            "aarch64-manylinux_2_28",
            "linux-aarch64-gnu",
            tuple(_linux("aarch64")),
        ),
        Target(
            "darwin-arm64",
            Platform("darwin", "arm64"),
            "aarch64-apple-darwin",
            "macos-aarch64-none",
            mac["arm64"],
        ),
        Target(
            "darwin-x64",
            Platform("darwin", "x64"),
            "x86_64-apple-darwin",
            "macos-x86_64-none",
            mac["x64"],
        ),
        Target(
            "win32-x64",
            Platform("win32", "x64"),
            "x86_64-pc-windows-msvc",
            "windows-x86_64-none",
            ("win_amd64",),
        ),
    )
    return {row.name: row for row in rows}


TARGETS = _table()
