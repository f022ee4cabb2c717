"""A kit's manifest: the list of everything in it, with sizes and digests. Pure.

``manifest.json`` is canonical JSON (sorted keys, no spaces, ASCII, one newline at the end),
so that a signature of its bytes is a signature of its meaning. ``decode`` takes nothing else:
what it returns is encoded to the very same bytes again.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from pyodide_offline.errors import IntegrityError, UnsupportedError

FORMAT = 1
NAME = "manifest.json"
# A size has eleven octal digits in a USTAR header (POSIX pax, ustar interchange format).
SIZE_LIMIT = 1 << 33
# Far more than a kit has; each platform has a list of all its items (``oci``).
MOST_ITEMS, MOST_TARGETS = 10_000, 16
KINDS = ("bundle", "file", "interpreter", "node", "npm", "python", "tree", "uv", "wheel")
_HEX = re.compile(r"[0-9a-f]{64}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_TARGET = re.compile(r"[a-z0-9]+(-[a-z0-9]+)+")
_PRINTABLE = re.compile(r"[\x20-\x7e]+")
_TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class Part:
    """A file of the kit's own: its size in bytes and its SHA-256 in hex."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Item:
    """One thing that a kit brings, byte for byte as its maker published it.

    ``file`` is a base name, ``size`` in bytes, ``sha256`` in hex; ``upstream`` is the digest
    as the project's lock has it, ``targets`` the platforms that it is for (empty: all).
    """

    kind: str
    name: str
    version: str
    file: str
    size: int
    sha256: str
    upstream: str | None = None
    purl: str | None = None
    targets: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What no two items of a kit share, and what they are sorted by."""
        return self.kind, self.name, self.version, self.file


@dataclass(frozen=True)
class Manifest:
    """What a kit is and what is in it.

    ``serial`` grows with each kit of this name. ``base`` is the digest of the manifest of
    the kit whose blobs are left out here, ``omitted`` those blobs. ``parts`` are the kit's
    own files, ``project`` the digests of the project's files that it was made for.
    """

    name: str
    serial: int
    items: tuple[Item, ...]
    targets: tuple[str, ...] = ()
    created: str = "1970-01-01T00:00:00Z"
    base: str | None = None
    omitted: tuple[str, ...] = ()
    parts: Mapping[str, Part] = field(default_factory=dict)
    project: Mapping[str, str] = field(default_factory=dict)

    @property
    def carried(self) -> dict[str, int]:
        """The blobs that lie in the kit itself: hex digest → size, sorted by digest."""
        left_out = set(self.omitted)
        found = {one.sha256: one.size for one in self.items if one.sha256 not in left_out}
        return dict(sorted(found.items()))

    @property
    def epoch(self) -> int:
        """``created`` in seconds since 1970."""
        return int(datetime.strptime(self.created, _TIME).replace(tzinfo=UTC).timestamp())

    @property
    def comment(self) -> str:
        """What each signature says beside the manifest's bytes, and signs, too."""
        return f"kit {self.name} serial {self.serial}"


def timestamp(epoch: int) -> str:
    """Return seconds since 1970 (SOURCE_DATE_EPOCH) as ``created`` writes them."""
    return datetime.fromtimestamp(epoch, UTC).strftime(_TIME)


def encode(manifest: Manifest) -> bytes:
    """Return the canonical bytes. Raises IntegrityError for what ``decode`` would refuse."""
    _check(manifest)
    record = {
        "format": FORMAT,
        "name": manifest.name,
        "serial": manifest.serial,
        "created": manifest.created,
        "targets": sorted(manifest.targets),
        "base": manifest.base,
        "omitted": sorted(manifest.omitted),
        "parts": {
            name: {"size": part.size, "sha256": part.sha256}
            for name, part in manifest.parts.items()
        },
        "project": {"files": dict(manifest.project)},
        "items": [
            {
                "kind": item.kind,
                "name": item.name,
                "version": item.version,
                "file": item.file,
                "size": item.size,
                "sha256": item.sha256,
                "upstream": item.upstream,
                "purl": item.purl,
                "targets": sorted(item.targets),
            }
            for item in sorted(manifest.items, key=lambda one: one.key)
        ],
    }
    return json.dumps(record, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def decode(data: bytes) -> Manifest:
    """Read a manifest. Raises IntegrityError; UnsupportedError for a later release's format."""
    try:
        record = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _wrong(f"it is no JSON ({type(error).__name__})") from error
    _shape(record, {"format": int}, "the manifest", exact=False)
    if record["format"] > FORMAT:
        raise UnsupportedError(
            f"This kit has the format {record['format']}; this release reads {FORMAT}.",
            next_step="Use the kit.pyz that lies in the kit, or a later pyodide-offline.",
        )
    _shape(record, _MANIFEST, "the manifest")
    _shape(record["project"], {"files": dict}, "project")
    _shape(record["project"]["files"], dict.fromkeys(record["project"]["files"], str), "project")
    for name, part in record["parts"].items():
        _shape(part, {"size": int, "sha256": str}, f"part {name!r}")
    for place, item in enumerate(record["items"]):
        _shape(item, _ITEM, f"item {place}")
    manifest = Manifest(
        name=record["name"],
        serial=record["serial"],
        created=record["created"],
        targets=tuple(record["targets"]),
        base=record["base"],
        omitted=tuple(record["omitted"]),
        parts={name: Part(**part) for name, part in record["parts"].items()},
        project=record["project"]["files"],
        items=tuple(
            Item(**{**item, "targets": tuple(item["targets"])}) for item in record["items"]
        ),
    )
    if encode(manifest) != data:
        raise _wrong("it is not canonical")
    return manifest


_MANIFEST: dict[str, Any] = {
    "format": int,
    "name": str,
    "serial": int,
    "created": str,
    "targets": list,
    "base": (str, type(None)),
    "omitted": list,
    "parts": dict,
    "project": dict,
    "items": list,
}
_ITEM: dict[str, Any] = {
    **{one.name: str for one in fields(Item)},
    "size": int,
    "upstream": (str, type(None)),
    "purl": (str, type(None)),
    "targets": list,
}


def _shape(record: object, shape: Mapping[str, Any], what: str, *, exact: bool = True) -> None:
    if not isinstance(record, dict):
        raise _wrong(f"{what} is no object")
    if exact and (unknown := sorted(set(record) - set(shape))):
        raise _wrong(f"{what} has unknown fields: {', '.join(map(repr, unknown))[:200]}")
    for name, kind in shape.items():
        value = record.get(name)
        # A bool is an int for isinstance.
        if name not in record or not isinstance(value, kind) or isinstance(value, bool):
            raise _wrong(f"{what} has no usable {name}")


def _check(manifest: Manifest) -> None:
    _text(manifest.name, "name")
    if "/" in manifest.name or "\\" in manifest.name:
        raise _wrong(f"its name {manifest.name!r} has a slash")
    if not 0 <= manifest.serial < 1 << 63:
        raise _wrong(f"its serial {manifest.serial} is out of range")
    try:
        usual = timestamp(manifest.epoch)
    except (ValueError, OverflowError, OSError):
        usual = ""
    if usual != manifest.created or not 0 <= manifest.epoch < SIZE_LIMIT:
        raise _wrong(f"created is no time: {manifest.created[:40]!r}")
    _each(manifest.targets, _TARGET, "target")
    _each(manifest.omitted, _HEX, "omitted blob")
    if manifest.base is not None and not _DIGEST.fullmatch(manifest.base):
        raise _wrong("base is no digest")
    if manifest.omitted and manifest.base is None:
        raise _wrong("it leaves blobs out and names no base")
    for name, part in manifest.parts.items():
        _file(name)
        _content(name, part.size, part.sha256)
    for name, digest in manifest.project.items():
        _text(name, "project file")
        if not _DIGEST.fullmatch(digest):
            raise _wrong(f"project file {name!r} has no digest")
    _check_items(manifest)


def _check_items(manifest: Manifest) -> None:
    if len(manifest.items) > MOST_ITEMS or len(manifest.targets) > MOST_TARGETS:
        raise _wrong(f"it has over {MOST_ITEMS} items, or over {MOST_TARGETS} targets")
    sizes: dict[str, int] = {}
    seen: dict[tuple[str, ...], Item] = {}
    for item in manifest.items:
        if item.kind not in KINDS:
            raise _wrong(f"there is no kind {item.kind[:40]!r}")
        _text(item.name, "item name")
        _text(item.version, "version", empty=True)
        _file(item.file)
        _content(item.file, item.size, item.sha256)
        if ".." in item.name.split("/") or item.name.startswith("/") or "\\" in item.name:
            raise _wrong(f"the name {item.name!r} leads out")
        for value, what in ((item.upstream, "upstream digest"), (item.purl, "purl")):
            if value is not None:
                _text(value, what)
        _each(item.targets, _TARGET, "target")
        if not set(item.targets) <= set(manifest.targets):
            raise _wrong(f"{item.file} is for a target that is none of the kit's")
        if sizes.setdefault(item.sha256, item.size) != item.size:
            raise _wrong(f"{item.file} has two sizes")
        other = seen.get(folded := tuple(part.casefold() for part in item.key))
        if other:
            clash = "twice in it" if other.key == item.key else f"also written {other.file!r}"
            raise _wrong(f"{item.kind} {item.name} {item.file!r} is {clash}")
        seen[folded] = item
    if strange := set(manifest.omitted) - set(sizes):
        raise _wrong(f"it leaves out {min(strange)}, which is no item's")


def _each(values: Iterable[object], pattern: re.Pattern[str], what: str) -> None:
    found = list(values)
    for value in found:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise _wrong(f"{str(value)[:80]!r} is no {what}")
    if len(set(found)) != len(found):
        raise _wrong(f"a {what} is twice in it")


def _text(value: str, what: str, *, empty: bool = False) -> None:
    if (not value and empty) or (len(value) <= 1000 and _PRINTABLE.fullmatch(value)):
        return
    raise _wrong(f"{what} {value[:80]!r} is not printable ASCII")


def _file(name: str) -> None:
    """Refuse what is no base name on one of the systems that a kit may be unpacked on."""
    if (
        not _PRINTABLE.fullmatch(name)
        or len(name) > 255
        or set(name) & set('/\\:*?"<>|')
        or name in {".", ".."}
        or name.endswith((".", " "))
    ):
        raise _wrong(f"{name[:80]!r} is no plain file name")


def _content(what: str, size: int, sha256: str) -> None:
    if not 0 <= size < SIZE_LIMIT:
        raise _wrong(f"{what} has the size {size}")
    if not _HEX.fullmatch(sha256):
        raise _wrong(f"{what} has no SHA-256")


def _wrong(reason: str) -> IntegrityError:
    return IntegrityError(
        "The kit's manifest cannot be used.", why=f"{reason[:1].upper()}{reason[1:]}."
    )
