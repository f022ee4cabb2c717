"""Reads a kit from one end to the other and compares each byte with what belongs there.

The manifest comes early and says where everything lies (``layout``), so nothing here is
interpreted that was not checked before: a fault is noted, and reading goes on at the next
place. Works on a pipe; where the source can seek, what nobody wants is skipped.
"""

import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from pyodide_offline.errors import PyodideOfflineError
from pyodide_offline.kits import layout
from pyodide_offline.kits.layout import BLOCK, Member
from pyodide_offline.kits.manifest import NAME, Manifest, decode

# The bits of `kit verify`'s exit status; the same as nix store verify's.
CORRUPT, UNTRUSTED, INCOMPLETE = 1, 2, 4
_CHUNK = 1 << 20
# What is held in memory: more than the largest kit needs, less than a hostile one asks for.
_LIMITS = {layout.PROGRAM: 8 << 20, NAME: 16 << 20, layout.SBOM: 32 << 20}
_LIMITS |= {layout.signature_name(number): 4096 for number in range(1, layout.SIGNERS + 1)}
_KINDS = {b"1": "a hard link", b"2": "a symbolic link", b"3": "a device", b"4": "a device"}
_KINDS |= {b"5": "a folder", b"6": "a pipe", b"S": "a sparse file", b"x": "a pax header"}


class Source(Protocol):
    """Where a kit is read from: a file without buffering, a pipe, several volumes."""

    def readinto(self, buffer: memoryview, /) -> int | None: ...  # noqa: D102
    def seekable(self) -> bool: ...  # noqa: D102
    def seek(self, offset: int, whence: int = 0, /) -> int: ...  # noqa: D102


class Composed(io.RawIOBase):
    """A kit that is composed of parts as it is read; ``_place`` is where in it."""

    _place = 0

    def readable(self) -> bool:  # noqa: D102
        return True

    def seekable(self) -> bool:  # noqa: D102
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:  # noqa: D102
        self._place = offset + (self._place if whence == 1 else 0)
        return self._place


class Receiver(Protocol):
    """Takes items' blobs; ``end`` says whether what was written was the blob."""

    def wants(self, sha256: str, size: int) -> bool: ...  # noqa: D102
    def write(self, data: memoryview, /) -> None: ...  # noqa: D102
    def end(self, sha256: str, *, good: bool) -> None: ...  # noqa: D102


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, where, and which bit of the exit status it sets."""

    where: str
    reason: str
    bit: int = CORRUPT

    def __str__(self) -> str:
        word = {CORRUPT: "corrupt", UNTRUSTED: "untrusted", INCOMPLETE: "incomplete"}[self.bit]
        return f"{word}: {self.where}: {self.reason}"


@dataclass(frozen=True)
class Head:
    """What a kit says of itself before its blobs; ``data`` are the manifest's bytes.

    ``lacking`` are the blobs that a copy for some platforms leaves out: those of the others.
    """

    manifest: Manifest
    data: bytes
    signatures: tuple[bytes, ...]
    program: bytes = field(repr=False)
    sbom: bytes = field(repr=False)
    lacking: frozenset[str] = frozenset()


class _Stop(Exception):  # noqa: N818 - ends the reading, never leaves this module
    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.reason)
        self.fault = fault


class Reading:
    """One pass over a kit; ``faults`` grows while it is read."""

    def __init__(self, source: Source, advance: Callable[[int], None] = lambda _: None) -> None:
        self.faults: list[Fault] = []
        self._source = source
        self._advance = advance
        self._place = 0
        self._buffer = memoryview(bytearray(_CHUNK))

    def head(self) -> Head | None:
        """Read up to the blobs. None where the manifest itself cannot be believed."""
        try:
            return self._head()
        except _Stop as stop:
            self.faults.append(stop.fault)
        except PyodideOfflineError as error:
            self.faults.append(Fault(NAME, error.why or error.what))
        return None

    def blobs(
        self,
        head: Head,
        receiver: Receiver | None = None,
        whole: Callable[[str], bool] | None = None,
    ) -> None:
        """Read the blobs and the end; a receiver gets those that it wants.

        ``whole`` says of a blob that nobody wants whether it was read and found right already.
        """
        members = layout.blobs(head.manifest, head.data, head.signatures)
        items = head.manifest.carried
        for place, member in enumerate(members):
            if member.sha256 in head.lacking:
                continue
            try:
                taker = receiver if member.sha256 in items else None
                self._blob(member, head.manifest.epoch, taker, whole)
            except _Stop as stop:
                missing = len(members) - place
                reason = f"{stop.fault.reason}; {missing} of {len(members)} blobs are missing"
                self.faults.append(Fault(member.name, reason, INCOMPLETE))
                return
        try:
            if self._take(len(layout.END), "the end") != layout.END:
                self.faults.append(Fault("the end", "it is not two blocks of zeros"))
        except _Stop as stop:
            self.faults.append(stop.fault)
            return
        if self._source.readinto(self._buffer[:1]):
            self.faults.append(Fault("the end", "something comes after it"))

    # -- inside --------------------------------------------------------------------

    def _head(self) -> Head:
        first = self._take(BLOCK, layout.PROGRAM)
        mtime = _octal(first[136:147])
        program = self._file(layout.PROGRAM, first, mtime, 0o755)
        data = self._file(NAME, self._take(BLOCK, NAME), mtime)
        manifest = decode(data)
        if set(manifest.parts) != {layout.PROGRAM, layout.SBOM}:
            raise _Stop(Fault(NAME, "it lists other parts than kit.pyz and sbom.cdx.json"))
        if manifest.epoch != mtime:
            raise _Stop(Fault(NAME, "the time in the headers is not the manifest's"))
        block = self._take(BLOCK, layout.SBOM)
        signatures: tuple[bytes, ...] = ()
        while len(signatures) < layout.SIGNERS:
            name = layout.signature_name(len(signatures) + 1)
            if block[:100].rstrip(b"\0") != name.encode():
                break
            signatures += (self._file(name, block, mtime),)
            block = self._take(BLOCK, layout.SBOM)
        sbom = b""
        for member in layout.opening(manifest, data, signatures):
            if member.name == layout.PROGRAM:
                self._compare(member, program)
            elif member.name == layout.SBOM:
                sbom = self._file(member.name, block, mtime, size=member.size)
                self._compare(member, sbom)
            elif member.name in (layout.OCI_LAYOUT, layout.INDEX):
                block = self._take(BLOCK, member.name)
                content = self._file(member.name, block, mtime, size=member.size)
                self._compare(member, content)
        lacking: frozenset[str] = getattr(self._source, "lacking", frozenset())
        return Head(manifest, data, signatures, program, sbom, lacking)

    def _compare(self, member: Member, content: bytes) -> None:
        if hashlib.sha256(content).hexdigest() != member.sha256:
            reason = "it does not have the digest that the manifest lists"
            if member.data is not None:
                reason = "it is not what belongs to this manifest and signature"
            self.faults.append(Fault(member.name, reason))

    def _file(
        self, name: str, block: bytes, mtime: int, mode: int = 0o644, size: int | None = None
    ) -> bytes:
        """Read a file whose header is ``block``; its size is there, or known."""
        found = _octal(block[124:135])
        if block != layout.header(name, found, mode, mtime):
            raise _Stop(Fault(name, _described(block, name)))
        limit = _LIMITS.get(name, size or 0)
        if found > limit or (size is not None and found != size):
            raise _Stop(Fault(name, f"it claims {found} bytes, {size or f'at most {limit}'} fit"))
        content = self._take(found, name)
        if any(self._take(layout.padding(found), name)):
            self.faults.append(Fault(name, "the bytes that fill its last block are not zero"))
        return content

    def _blob(
        self,
        member: Member,
        mtime: int,
        receiver: Receiver | None,
        known: Callable[[str], bool] | None,
    ) -> None:
        block = self._take(BLOCK, member.name)
        good = block == layout.header(member.name, member.size, member.mode, mtime)
        if not good:
            self.faults.append(Fault(member.name, _described(block, member.name)))
        wanted = receiver is not None and receiver.wants(member.sha256, member.size)
        if receiver is not None and not wanted and self._source.seekable():
            self._skip(member.size + layout.padding(member.size))
            return
        if receiver is None and known is not None and known(member.sha256):
            self._skip(member.size)
        else:
            self._content(member, receiver if wanted else None)
        if any(self._take(layout.padding(member.size), member.name)):
            reason = "the bytes that fill its last block are not zero"
            self.faults.append(Fault(member.name, reason))

    def _content(self, member: Member, receiver: Receiver | None) -> None:
        hasher, whole = hashlib.sha256(), False
        try:
            for chunk in self._chunks(member.size, member.name):
                hasher.update(chunk)
                if receiver is not None:
                    receiver.write(chunk)
            whole = hasher.hexdigest() == member.sha256
            if not whole:
                self.faults.append(Fault(member.name, "its content is damaged"))
        finally:
            if receiver is not None:
                receiver.end(member.sha256, good=whole)

    def _take(self, size: int, where: str) -> bytes:
        return b"".join(map(bytes, self._chunks(size, where)))

    def _chunks(self, size: int, where: str) -> Iterator[memoryview]:
        rest = size
        while rest:
            try:
                count = self._source.readinto(self._buffer[: min(rest, _CHUNK)]) or 0
            except OSError as error:
                reason = f"the medium cannot be read at byte {self._place}: {error.strerror}"
                raise _Stop(Fault(where, reason, INCOMPLETE)) from error
            if not count:
                reason = f"the kit ends at byte {self._place}"
                raise _Stop(Fault(where, reason, INCOMPLETE))
            self._place += count
            self._advance(count)
            yield self._buffer[:count]
            rest -= count

    def _skip(self, size: int) -> None:
        self._source.seek(size, 1)
        self._place += size
        self._advance(size)


def _octal(field_: bytes) -> int:
    """Read a number of a header; what is none counts as 0 and fails the comparison later."""
    return int(field_, 8) if field_.isdigit() and not set(field_) & set(b"89") else 0


def _described(block: bytes, name: str) -> str:
    """Say what lies where the header of ``name`` belongs."""
    found = block[:100].rstrip(b"\0").decode("ascii", "backslashreplace")
    kind = _KINDS.get(block[156:157])
    if not any(block):
        return "the archive ends before it"
    if block[257:262] != b"ustar":
        return "no tar header lies where its own belongs"
    if kind:
        return f"{kind} ({found!r}) lies where it belongs"
    if found != name:
        return f"{found!r} lies where it belongs"
    return "its header is not the one that belongs there"
