"""What is in a zip archive (APPNOTE 6.3): the small part of the format that wheels use.

The list at the end decides, and the header before each member must agree with it. Stored
or deflated only; no encryption, no Zip64 (so at most 65,535 members), no two members that
share their bytes.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from pyodide_offline.archive.bounds import Bounds, Count, Refused

START = (b"PK\x03\x04", b"PK\x05\x06")
_END = struct.Struct("<4s4H2LH")
_LISTED = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_STORED, _DEFLATED = 0, 8
_ENCRYPTED = 1
_CHUNK = 1 << 18


@dataclass
class Entry:
    """One member, as ``tapes.Entry``."""

    name: str
    size: int
    mode: int
    kind: str
    packed: int
    crc: int
    method: int
    offset: int
    file: BinaryIO

    def chunks(self) -> Iterator[memoryview]:
        """Yield the content. Raises Refused where it is not what the list says."""
        self.file.seek(self.offset)
        inflater = zlib.decompressobj(-15) if self.method == _DEFLATED else None
        rest, size, crc = self.packed, 0, 0
        while True:
            data = self.file.read(min(rest, _CHUNK))
            rest -= len(data)
            ended = not data
            while True:
                made = inflater.decompress(data, _CHUNK) if inflater else data
                size, crc = size + len(made), zlib.crc32(made, crc)
                if size > self.size:
                    raise Refused(f"{self.name!r} is larger than it claims")
                if made:
                    yield memoryview(made)
                data = inflater.unconsumed_tail if inflater else b""
                if not data:
                    break
            if ended:
                break
        if size != self.size or crc != self.crc or (inflater and not inflater.eof):
            raise Refused(f"{self.name!r} is damaged")


def entries(file: BinaryIO, size: int, bounds: Bounds) -> Iterator[Entry]:
    """Yield every member of an archive of ``size`` bytes, as the list has them. Raises Refused."""
    count = Count(bounds, size)
    found = []
    for one in _listed(file, size):
        count.member(one.name, one.size)
        count.grown(one.size)
        found.append(one)
    end = 0
    for one in sorted(found, key=lambda entry: entry.offset):
        if one.offset < end:
            raise Refused(f"{one.name!r} shares its bytes with another member")
        one.offset = _content(file, one)
        end = one.offset + one.packed
        if end > size:
            raise Refused(f"{one.name!r} does not end in it")
    yield from found


def _listed(file: BinaryIO, size: int) -> Iterator[Entry]:
    file.seek(max(0, size - _END.size - 0xFFFF))
    tail = file.read()
    place = tail.rfind(b"PK\x05\x06")
    if place < 0 or len(tail) - place < _END.size:
        raise Refused("it is no zip archive, or its end is missing")
    _, disk, first, here, number, length, start, comment = _END.unpack_from(tail, place)
    if disk or first or here != number or 0xFFFFFFFF in (length, start) or number == 0xFFFF:
        raise Refused("it is of several parts, or a Zip64 archive")
    if place + _END.size + comment != len(tail) or start + length + len(tail) - place != size:
        raise Refused("something lies where nothing of it belongs")
    file.seek(start)
    data = file.read(length)
    at = 0
    for _ in range(number):
        if len(data) - at < _LISTED.size or data[at : at + 4] != b"PK\x01\x02":
            raise Refused("its list of members is damaged")
        fields = _LISTED.unpack_from(data, at)
        flags, method, crc, packed, full = fields[3], fields[4], *fields[7:10]
        lengths, attributes, offset = fields[10:13], fields[15], fields[16]
        at += _LISTED.size
        name = _name(data[at : at + lengths[0]], flags)
        at += sum(lengths)
        if flags & _ENCRYPTED or method not in (_STORED, _DEFLATED):
            raise Refused(f"{name!r} is encrypted, or packed in an unusual way")
        mode = attributes >> 16
        yield Entry(name, full, mode, _kind(name, mode), packed, crc, method, offset, file)
    if at != len(data):
        raise Refused("its list of members is damaged")


def _content(file: BinaryIO, entry: Entry) -> int:
    """Return where a member's bytes begin, if its own header says the same as the list."""
    file.seek(entry.offset)
    head = file.read(_LOCAL.size)
    if len(head) < _LOCAL.size or head[:4] != START[0]:
        raise Refused(f"no header of {entry.name!r} lies where it should")
    fields = _LOCAL.unpack(head)
    name = _name(file.read(fields[9]), fields[2])
    if name != entry.name or fields[3] != entry.method:
        raise Refused(f"{entry.name!r} has another name or form before it")
    return entry.offset + _LOCAL.size + int(fields[9]) + int(fields[10])


def _kind(name: str, mode: int) -> str:
    kind = mode >> 12
    if kind == 0o12:
        return "a symbolic link"
    if kind not in (0, 0o10, 0o4):
        return "a device"
    return "a folder" if name.endswith("/") or kind == 0o4 else "a file"


def _name(data: bytes, flags: int) -> str:
    try:
        return data.decode() if flags & 0x800 else data.decode("ascii")
    except UnicodeDecodeError as error:
        raise Refused(f"the name {data[:200]!r} cannot be read") from error
