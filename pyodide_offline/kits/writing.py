"""Writes a kit: the same manifest and blobs give the same bytes, on every machine."""

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pyodide_offline.errors import IntegrityError, StorageError
from pyodide_offline.kits import comparing, cutting, layout, program, sbom, signature
from pyodide_offline.kits.cutting import Sink
from pyodide_offline.kits.layout import Member
from pyodide_offline.kits.manifest import Manifest, Part, encode
from pyodide_offline.kits.reading import Head, Reading
from pyodide_offline.kits.signing import SecretKey
from pyodide_offline.kits.volumes import head, opened
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
    keys: Sequence[SecretKey] = (),
    base: Head | None = None,
    volume_size: int | None = None,
    advance: Advance = lambda _: None,
) -> Manifest:
    """Write a kit of ``blobs``, or its volumes, and return its manifest, completed.

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
    signatures = ordered(key.sign(data, manifest.comment) for key in keys)
    head = Head(manifest, data, signatures, pyz, listing)
    put(target, head, blobs, volume_size=volume_size, advance=advance)
    return manifest


def put(
    target: Path,
    head: Head,
    blobs: Mapping[str, Path | Span],
    *,
    volume_size: int | None = None,
    advance: Advance = lambda _: None,
) -> None:
    """Write the kit that ``head`` is the beginning of; as ``write``."""
    own = {layout.PROGRAM: head.program, layout.SBOM: head.sbom}
    parts = {head.manifest.parts[name].sha256: data for name, data in own.items()}
    said = head.manifest, head.data, head.signatures
    with _sink(target, head, volume_size) as sink:
        for member in layout.opening(*said):
            _put(sink, member, head.manifest.epoch, own.get(member.name, member.data) or b"")
        for member in layout.blobs(*said):
            data = parts.get(member.sha256, member.data)
            if data is not None:
                _put(sink, member, head.manifest.epoch, data)
            else:
                _copy(sink, member, head.manifest.epoch, blobs.get(member.sha256), advance)
        sink.write(layout.END)


def split(kit: Path, target: Path, size: int) -> list[Path]:
    """Write a kit as volumes of at most ``size`` bytes and return their paths.

    The kit is only read. ``target`` is what their names begin with. Raises IntegrityError for
    what is no kit, StorageError for the disk, SettingsError for a size that holds nothing.
    """
    with _whole(kit) as (head, file):
        planned = cutting.plan(hashlib.sha256(head.data).hexdigest(), kit.stat().st_size, size)
        with cutting.in_volumes(target, planned) as sink:
            while data := file.read(_CHUNK):
                sink.write(data)
    return cutting.names(target, len(planned))


def join(paths: Sequence[Path], target: Path) -> Head:
    """Put volumes together again; return the kit's head.

    Raises IntegrityError, with all faults or for what is no kit, StorageError.
    """
    with opened(paths, check=True) as (source, faults):
        if getattr(source, "lacking", None):
            raise IntegrityError(
                f"{paths[0]} is a copy for some platforms only, not the whole kit.",
                next_step="Copy all of it: skopeo copy --all",
            )
        if faults:
            raise IntegrityError(
                f"The volumes cannot be joined: {len(faults)} faults.",
                why="; ".join(map(str, faults)),
            )
        found = head(paths)
        buffer = memoryview(bytearray(_CHUNK))
        with cutting.whole(target) as sink:
            while count := source.readinto(buffer):
                sink.write(buffer[:count])
    return found


def signed(
    kit: Path, target: Path, new: Sequence[bytes], advance: Advance = lambda _: None
) -> Head:
    """Write a kit again with more signatures of the same manifest; return its head.

    ``new`` are signature files, ours or minisign's. A key signs once: a later signature takes
    the place of its earlier one. Raises IntegrityError for what is no kit or no signature.
    """
    with _whole(kit) as (old, _):
        at = layout.places(old.manifest, old.data, old.signatures)
    comment = old.manifest.comment
    for one in new:
        found = signature.read(one).comment
        if found != comment:
            raise IntegrityError(
                "The signature is of another kit.",
                why=f"Its trusted comment is {found[:80]!r}, not {comment!r}.",
                next_step=f"minisign -S -m manifest.json -t {comment!r}",
            )
    head = dataclasses.replace(old, signatures=ordered([*old.signatures, *new]))
    put(target, head, {name: Span(kit, place) for name, place in at.items()}, advance=advance)
    return head


def ordered(signatures: Iterator[bytes] | Sequence[bytes]) -> tuple[bytes, ...]:
    """Return signatures as a kit has them: by their keys' ids, whoever signed first."""
    by_key = {signature.read(one).key_id: one for one in signatures}
    if len(by_key) > layout.SIGNERS:
        raise IntegrityError(f"A kit has at most {layout.SIGNERS} signatures.")
    return tuple(one for _, one in sorted(by_key.items()))


@contextmanager
def _sink(target: Path, head: Head, volume_size: int | None) -> Iterator[Sink]:
    if volume_size is None:
        with cutting.whole(target) as sink:
            yield sink
        return
    total = layout.length(head.manifest, head.data, head.signatures)
    planned = cutting.plan(hashlib.sha256(head.data).hexdigest(), total, volume_size)
    with cutting.in_volumes(target, planned) as sink:
        yield sink


@contextmanager
def _whole(kit: Path) -> Iterator[tuple[Head, BinaryIO]]:
    """Open a kit in one file and read its head; the file is at its beginning again."""
    try:
        file = kit.open("rb", buffering=0)
    except OSError as error:
        raise StorageError(f"{kit} cannot be read: {error.strerror}.") from error
    with file:
        reading = Reading(file)
        head = reading.head()
        if head is None or reading.faults:
            raise IntegrityError(f"{kit} is no kit.", why=str(reading.faults[0]))
        file.seek(0)
        yield head, file


def _put(sink: Sink, member: Member, mtime: int, data: bytes) -> None:
    head = layout.header(member.name, member.size, member.mode, mtime)
    sink.write(head + data + bytes(layout.padding(member.size)))


def _copy(
    sink: Sink, member: Member, mtime: int, source: Path | Span | None, advance: Advance
) -> None:
    if source is None:
        raise IntegrityError(f"Nobody brought {member.name}, which the manifest lists.")
    sink.write(layout.header(member.name, member.size, member.mode, mtime))
    hasher, seen, buffer = hashlib.sha256(), 0, memoryview(bytearray(_CHUNK))
    span = source if isinstance(source, Span) else None
    path = source.path if isinstance(source, Span) else source
    with path.open("rb", buffering=0) as content:
        content.seek(span.offset if span else 0)
        # A file of its own is read to its end: one that grew is another file.
        while count := content.readinto(buffer[: member.size - seen] if span else buffer):
            hasher.update(buffer[:count])
            sink.write(buffer[:count])
            seen += count
            advance(count)
    if seen != member.size or hasher.hexdigest() != member.sha256:
        raise IntegrityError(
            f"{path} is not the file that the kit's manifest lists.",
            why=f"Expected {member.size} bytes, sha256:{member.sha256}; got {seen} bytes, "
            f"sha256:{hasher.hexdigest()}.",
            next_step="" if span else "If the store has it, type: pyodide-offline cache verify",
        )
    sink.write(bytes(layout.padding(member.size)))


def _part(data: bytes) -> Part:
    return Part(len(data), hashlib.sha256(data).hexdigest())
