"""A kit as programs that know OCI copy it: a layout in a tar or a folder, of some platforms or all.

The blobs are the kit's, the order is not. A platform's image has the kit's whole manifest as
its config and the signatures as annotations, and the manifest says how the kit itself goes
(``layout``): so a copy is shown as the file that it was made of, to the one reader that
compares every byte. Nothing of a copy is believed here; what is wrong with it is no byte of
the kit. Only what none of the copied platforms needs may be missing (``Copy.lacking``).
"""

import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from pyodide_offline.errors import PyodideOfflineError
from pyodide_offline.kits import layout, oci
from pyodide_offline.kits.layout import BLOCK, Member
from pyodide_offline.kits.manifest import Manifest, decode
from pyodide_offline.kits.reading import CORRUPT, INCOMPLETE, Composed, Fault

_BLOBS = "blobs/sha256/"
# More than the largest kit's own documents and files need.
_DOCUMENT = 16 << 20
_MEMBERS = 50_000


@dataclass(frozen=True)
class _Span:
    """Where a file's bytes lie: in a file of its own, or within the tar."""

    path: Path
    at: int
    size: int

    def read(self) -> bytes:
        with self.path.open("rb") as file:
            file.seek(self.at)
            return file.read(min(self.size, _DOCUMENT))


class Copy(Composed):
    """The kit that a copy was made of, without the blobs that are ``lacking``."""

    def __init__(
        self, stack: ExitStack, pieces: Mapping[int, bytes | _Span], lacking: frozenset[str]
    ) -> None:
        self.lacking = lacking
        self._pieces, self._starts = pieces, list(pieces)
        self._stack = stack
        self._open: tuple[Path, BinaryIO] | None = None

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]  # noqa: D102
        found = bisect_right(self._starts, self._place) - 1
        if found < 0:
            return 0
        start = self._starts[found]
        piece, within = self._pieces[start], self._place - start
        if isinstance(piece, _Span):
            file = self._file(piece.path)
            file.seek(piece.at + within)
            count = file.readinto(buffer[: piece.size - within])  # type: ignore[attr-defined]
        else:
            data = piece[within : within + len(buffer)]
            count = len(data)
            buffer[:count] = data
        self._place += count
        return int(count)

    def _file(self, path: Path) -> BinaryIO:
        if self._open is None or self._open[0] != path:
            if self._open:
                self._open[1].close()
            self._open = path, self._stack.enter_context(path.open("rb", buffering=0))
        return self._open[1]


class _Wrong(Exception):  # noqa: N818 - ends the look, never leaves this module
    pass


def opened(path: Path, stack: ExitStack) -> tuple[Copy, list[Fault]] | None:
    """Return the kit of a copy and what is wrong with it; None for what is no OCI layout."""
    try:
        files = _of_folder(path) if path.is_dir() else _of_tar(path)
    except OSError:  # told by who opens it as a kit
        return None
    if files is None or layout.OCI_LAYOUT not in files or layout.INDEX not in files:
        return None
    try:
        pieces, lacking, faults = _kit(files)
    except _Wrong as wrong:
        pieces, lacking, faults = {}, frozenset(), [Fault(str(path), str(wrong))]
    except OSError as error:
        pieces, lacking = {}, frozenset()
        faults = [Fault(str(path), f"it cannot be read: {error.strerror}", INCOMPLETE)]
    except PyodideOfflineError as error:
        pieces, lacking, faults = {}, frozenset(), [Fault(str(path), error.why or error.what)]
    return Copy(stack, pieces, lacking), faults


def _kit(
    files: Mapping[str, _Span],
) -> tuple[dict[int, bytes | _Span], frozenset[str], list[Fault]]:
    images = list(_images(files))
    if not images:
        raise _Wrong("it is an OCI layout, and no kit is in it")
    data = _blob(files, _field(images[0][1], "config", "digest"))
    manifest = decode(data)
    signatures = _signatures(images[0][1])
    known = oci.documents(manifest, data, signatures)
    # The images are in the order of the platforms' names; after them comes their index.
    names = sorted(manifest.targets) or [""]
    of_image = dict(zip((sha256(one).hexdigest() for one in known.blobs), names, strict=False))
    if any(digest not in of_image for digest, _ in images):
        raise _Wrong("an image in it is not what belongs to its manifest and signatures")
    here = {of_image[digest] for digest, _ in images}
    lacking, faults = _lacking(files, manifest, here)
    if any(_BLOBS + one.sha256 not in files for one in manifest.parts.values()):
        raise _Wrong("kit.pyz or sbom.cdx.json is missing in it")
    return _laid(files, manifest, data, signatures, lacking), lacking, faults


def _lacking(
    files: Mapping[str, _Span], manifest: Manifest, here: set[str]
) -> tuple[frozenset[str], list[Fault]]:
    """Return the blobs that are not there, and a fault for each that should be."""
    needed = {
        item.sha256 for item in manifest.items if not item.targets or here & set(item.targets)
    }
    lacking, faults = set(), []
    for name, size in manifest.carried.items():
        span = files.get(_BLOBS + name)
        if span is not None and span.size == size:
            continue
        lacking.add(name)
        if span is not None:
            reason = f"it has {span.size} bytes, {size} belong there"
            faults.append(Fault(_BLOBS + name, reason, CORRUPT))
        elif name in needed:
            faults.append(Fault(_BLOBS + name, "it is missing", INCOMPLETE))
    return frozenset(lacking), faults


def _laid(
    files: Mapping[str, _Span],
    manifest: Manifest,
    data: bytes,
    signatures: tuple[bytes, ...],
    lacking: frozenset[str],
) -> dict[int, bytes | _Span]:
    """Return the kit's bytes, in pieces by the place where each begins."""
    pieces: dict[int, bytes | _Span] = {}
    at = 0
    members: list[Member] = layout.opening(manifest, data, signatures)
    members += layout.blobs(manifest, data, signatures)
    for member in members:
        if member.sha256 in lacking:
            continue
        header = layout.header(member.name, member.size, member.mode, manifest.epoch)
        content = member.data if member.data is not None else files[_BLOBS + member.sha256]
        for piece in (header, content, bytes(layout.padding(member.size))):
            size = piece.size if isinstance(piece, _Span) else len(piece)
            if size:
                pieces[at] = piece
                at += size
    pieces[at] = layout.END
    return pieces


def _images(files: Mapping[str, _Span]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the kits' images that the index leads to, each with its digest."""
    waiting, seen = [_parsed(files[layout.INDEX].read())], set()
    while waiting:
        for entry in _list(waiting.pop(), "manifests"):
            name = str(_field(entry, "digest")).removeprefix("sha256:")
            # What is left out of a copy is named by its index all the same.
            if name in seen or _BLOBS + name not in files:
                continue
            seen.add(name)
            data = files[_BLOBS + name].read()
            document = _parsed(data)
            if "manifests" in document:
                waiting.append(document)
            elif document.get("artifactType") == oci.TYPE:
                yield sha256(data).hexdigest(), document


def _signatures(image: Mapping[str, Any]) -> tuple[bytes, ...]:
    said, found = image.get("annotations"), []
    for number in range(1, layout.SIGNERS + 1):
        name = oci.SIGNED if number == 1 else f"{oci.SIGNED}.{number}"
        if not isinstance(said, dict) or name not in said:
            break
        found.append(str(said[name]).encode("latin-1", "replace"))
    return tuple(found)


def _blob(files: Mapping[str, _Span], digest: object) -> bytes:
    span = files.get(_BLOBS + str(digest).removeprefix("sha256:"))
    if span is None:
        raise _Wrong("the kit's manifest is missing in it")
    return span.read()


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _Wrong("its index or an image in it cannot be read") from error
    if not isinstance(document, dict):
        raise _Wrong("its index or an image in it is not one")
    return document


def _list(document: Mapping[str, Any], name: str) -> list[object]:
    found = document.get(name)
    return found if isinstance(found, list) else []


def _field(value: object, *names: str) -> object:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _of_folder(folder: Path) -> dict[str, _Span] | None:
    if not (folder / layout.OCI_LAYOUT).is_file():
        return None
    paths = [folder / layout.OCI_LAYOUT, folder / layout.INDEX, *(folder / _BLOBS).glob("*")]
    return {
        path.relative_to(folder).as_posix(): _Span(path, 0, path.stat().st_size)
        for path in paths
        if path.is_file() and not path.is_symlink()
    }


def _of_tar(path: Path) -> dict[str, _Span] | None:
    """Return the files of a plain tar; None for a kit itself, and for what is no such tar."""
    found: dict[str, _Span] = {}
    if not path.is_file():
        return None
    with path.open("rb") as file:
        for _ in range(_MEMBERS):
            block = file.read(BLOCK)
            if len(block) < BLOCK or not any(block):
                return found
            size, kind = _size(block), block[156:157]
            name = block[:100].rstrip(b"\0").decode("ascii", "replace").removeprefix("./")
            if size is None or (not found and name == layout.PROGRAM):
                return None
            if kind in (b"0", b"\0"):
                found[name] = _Span(path, file.tell(), size)
            file.seek(size + layout.padding(size), 1)
    return None


def _size(block: bytes) -> int | None:
    field = block[124:135]
    right = block[257:262] == b"ustar" and field.isdigit() and not set(field) & set(b"89")
    return int(field, 8) if right else None
