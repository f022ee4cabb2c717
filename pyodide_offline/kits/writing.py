"""Writes a kit: the same manifest and blobs give the same bytes, on every machine."""

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pyodide_offline import disk
from pyodide_offline.errors import IntegrityError
from pyodide_offline.kits import comparing, layout, program, sbom
from pyodide_offline.kits.layout import Member
from pyodide_offline.kits.manifest import Manifest, Part, encode
from pyodide_offline.kits.reading import Head
from pyodide_offline.kits.signing import SecretKey
from pyodide_offline.progress import Advance

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Span:
    """A blob within another file, from byte ``offset`` on."""

    path: Path
    offset: int


def write(
    target: Path,
    manifest: Manifest,
    blobs: Mapping[str, Path | Span],
    *,
    key: SecretKey | None = None,
    base: Head | None = None,
    advance: Advance = lambda _: None,
) -> Manifest:
    """Write a kit of ``blobs`` and return its manifest, completed.

    ``blobs`` maps hex digests to files, or to places in other kits; each is hashed while it
    is copied. What ``base`` lists is left out. Raises IntegrityError for a blob that is
    missing or does not have its digest, StorageError for the disk; the target is then left
    as it was.
    """
    pyz, listing = program.archive(), sbom.encode(manifest)
    if base:
        manifest = comparing.against(manifest, base)
    parts = {layout.PROGRAM: _part(pyz), layout.SBOM: _part(listing)}
    manifest = dataclasses.replace(
        manifest,
        items=tuple(sorted(manifest.items, key=lambda one: one.key)),
        targets=tuple(sorted(manifest.targets)),
        omitted=tuple(sorted(manifest.omitted)),
        parts=parts,
    )
    data = encode(manifest)
    comment = f"kit {manifest.name} serial {manifest.serial}"
    signature = key.sign(data, comment) if key else None
    own = {layout.PROGRAM: pyz, layout.SBOM: listing}
    with disk.guarded(target), disk.beside(target) as temporary:
        with temporary.open("wb", buffering=0) as file:
            for member in layout.opening(manifest, data, signature):
                content = own.get(member.name, member.data)
                _put(file, member, manifest.epoch, content or b"")
            for member in layout.blobs(manifest, data, signature):
                if member.data is not None:
                    _put(file, member, manifest.epoch, member.data)
                else:
                    _copy(file, member, manifest.epoch, blobs.get(member.sha256), advance)
            file.write(layout.END)
        temporary.chmod(0o644)
        disk.fsync(temporary)
        temporary.replace(target)
    return manifest


def _put(file: BinaryIO, member: Member, mtime: int, data: bytes) -> None:
    head = layout.header(member.name, member.size, member.mode, mtime)
    _all(file, head + data + bytes(layout.padding(member.size)))


def _copy(
    file: BinaryIO, member: Member, mtime: int, source: Path | Span | None, advance: Advance
) -> None:
    if source is None:
        raise IntegrityError(f"Nobody brought {member.name}, which the manifest lists.")
    _all(file, layout.header(member.name, member.size, member.mode, mtime))
    hasher, seen, buffer = hashlib.sha256(), 0, memoryview(bytearray(_CHUNK))
    span = source if isinstance(source, Span) else None
    path = source.path if isinstance(source, Span) else source
    with path.open("rb", buffering=0) as content:
        content.seek(span.offset if span else 0)
        # A file of its own is read to its end: one that grew is another file.
        while count := content.readinto(buffer[: member.size - seen] if span else buffer):
            hasher.update(buffer[:count])
            _all(file, buffer[:count])
            seen += count
            advance(count)
    if seen != member.size or hasher.hexdigest() != member.sha256:
        raise IntegrityError(
            f"{path} is not the file that the kit's manifest lists.",
            why=f"Expected {member.size} bytes, sha256:{member.sha256}; got {seen} bytes, "
            f"sha256:{hasher.hexdigest()}.",
        )
    _all(file, bytes(layout.padding(member.size)))


def _all(file: BinaryIO, data: bytes | memoryview) -> None:
    """Write every byte: a raw file may take less than it is given."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _part(data: bytes) -> Part:
    return Part(len(data), hashlib.sha256(data).hexdigest())
