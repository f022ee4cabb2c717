"""Contents for a store: what fills it, and what spoils it."""

from collections.abc import Callable
from pathlib import Path

from pyodide_offline import digest as digests
from pyodide_offline.store import Store

CONTENT = bytes(range(256)) * 64
DIGEST = digests.of_bytes(CONTENT)


def write(content: bytes = CONTENT, **provenance: str) -> Callable[[Path], dict[str, str]]:
    """Return what writes a content and gives its provenance."""

    def produce(target: Path) -> dict[str, str]:
        target.write_bytes(content)
        return provenance

    return produce


def never(_: Path) -> dict[str, str]:
    """Must not be called."""
    raise AssertionError("made again although it is there")


def tree(folder: Path) -> dict[str, str]:
    """Fill a folder with a program and a link to it."""
    (folder / "bin").mkdir()
    (folder / "bin" / "tool").write_text("#!/bin/sh\n")
    (folder / "bin" / "tool").chmod(0o755)
    (folder / "link").symlink_to("bin/tool")
    return {"from": "here"}


def files(store: Store) -> list[str]:
    """All files of the store but locks, relative."""
    found = (p.relative_to(store.root).as_posix() for p in store.root.rglob("*") if p.is_file())
    return sorted(path for path in found if "/locks/" not in path)


def damage(path: Path, content: bytes) -> None:
    """Spoil a file, read-only or not."""
    path.chmod(0o644)
    path.write_bytes(content)
