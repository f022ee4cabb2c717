"""What is in a tar archive, one after the other (POSIX pax; GNU's long names).

Written for what package makers make. What else the format allows (sparse files, tapes of
several parts) is refused rather than guessed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from pyodide_offline.archive.bounds import Bounds, Count, Refused
from pyodide_offline.archive.stream import Stream

_BLOCK = 512
# A path of 4096 bytes and some others fit; nobody needs more in a header of headers.
_META = 1 << 20
_METAS = (b"x", b"g", b"L", b"K")
_FILES = (b"0", b"\0", b"7")
_KINDS = {b"1": "a hard link", b"2": "a symbolic link", b"3": "a device", b"4": "a device"}
_KINDS |= {b"5": "a folder", b"6": "a pipe", b"S": "a sparse file"}


@dataclass
class Entry:
    """One member; ``kind`` is "a file", "a folder" or what else it is. Read it before the next."""

    name: str
    size: int
    mode: int
    kind: str
    stream: Stream

    def chunks(self) -> Iterator[memoryview]:
        """Yield the content, which can be read once."""
        return self.stream.chunks(self.size)


def entries(file: BinaryIO, size: int, bounds: Bounds) -> Iterator[Entry]:
    """Yield every member of an archive of ``size`` bytes. Raises Refused."""
    count = Count(bounds, size)
    stream = Stream(file, count)
    pax: dict[str, str] = {}
    long_name = ""
    while not stream.ended() and any(block := stream.take(_BLOCK)):
        head = _Head(block)
        if head.kind in _METAS:
            count.member(head.name, head.size)
            text = _meta(stream, head)
            if head.kind == b"L":
                long_name = _text(text.rstrip(b"\0"))
            elif head.kind == b"x":
                pax = _records(text)
            elif head.kind == b"g" and _records(text).keys() & {"path", "size", "linkpath"}:
                raise Refused("a header for all of its members names one of them")
            continue
        name = pax.get("path") or long_name or head.name
        kind = _kind(head.kind, name)
        length = _number(pax["size"]) if "size" in pax else head.size
        count.member(name, length)
        # A link's size is that of its target, which is elsewhere.
        length = length if kind == "a file" else 0
        end = stream.place + length
        yield Entry(name, length, head.mode, kind, stream)
        stream.skip(end - stream.place + -length % _BLOCK)
        pax, long_name = {}, ""
    if not stream.place:
        raise Refused("it is empty")
    stream.drain()


class _Head:
    """A header block whose checksum is right."""

    def __init__(self, block: bytes) -> None:
        said = block[148:156].strip(b" \0").rjust(6, b"0")
        if said != b"%06o" % (sum(block[:148]) + 256 + sum(block[156:])):
            raise Refused("it is no tar archive, or a header is damaged")
        self.kind = block[156:157]
        self.mode = _octal(block[100:108])
        self.size = _octal(block[124:136])
        name = block[:100].partition(b"\0")[0]
        prefix = block[345:500].partition(b"\0")[0]
        # GNU's own format has times where POSIX has a prefix.
        if prefix and block[257:263] == b"ustar\0":
            name = prefix + b"/" + name
        self.name = _text(name)


def _kind(flag: bytes, name: str) -> str:
    if flag in _FILES:
        return "a folder" if name.endswith("/") else "a file"
    if flag in _KINDS:
        return _KINDS[flag]
    raise Refused(f"{name!r} is of the unknown kind {flag!r}")


def _meta(stream: Stream, head: _Head) -> bytes:
    if head.size > _META:
        raise Refused(f"a header of {head.size} bytes stands before a member")
    data = stream.take(head.size)
    stream.skip(-head.size % _BLOCK)
    return data


def _records(data: bytes) -> dict[str, str]:
    """Read pax records, "LENGTH KEY=VALUE\\n" each."""
    found = {}
    while data:
        digits = data.partition(b" ")[0]
        length = int(digits) if digits.isdigit() and len(digits) < 8 else 0
        line, data = data[:length], data[length:]
        key, equals, value = line[len(digits) + 1 : -1].partition(b"=")
        if not equals or line[-1:] != b"\n":
            raise Refused("a pax header is damaged")
        if key.startswith(b"GNU.sparse"):
            raise Refused("a sparse file is in it")
        found[_text(key)] = _text(value)
    return found


def _octal(field: bytes) -> int:
    """Read a number of a header; GNU writes large ones in base 256."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    return _number(digits.decode("ascii", "replace"), 8) if digits else 0


def _number(text: str, base: int = 10) -> int:
    try:
        if text.isdigit():
            return int(text, base)
    except ValueError:
        pass
    raise Refused(f"{text[:40]!r} in a header is no number")


def _text(data: bytes) -> str:
    # What is not UTF-8 is no name that a file is given (``names``), but may be passed over.
    return data.decode("utf-8", "surrogateescape")
