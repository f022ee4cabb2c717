"""What a manifest may say: the same bytes for the same meaning, and nothing odd."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from pyodide_offline.errors import IntegrityError, UnsupportedError
from pyodide_offline.kits.manifest import Item, Manifest, decode, encode, timestamp
from tests.peers import kits


def _manifest(tmp_path: Path, **changes: Any) -> Manifest:
    return dataclasses.replace(kits.contents(tmp_path)[0], **changes)


def _items(**changes: Any) -> tuple[Item, ...]:
    return (dataclasses.replace(kits.item("npm", b"x"), **changes),)


def test_order_does_not_matter_and_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    manifest = _manifest(tmp_path, created=timestamp(1_700_000_000))
    data = encode(manifest)
    assert data == encode(dataclasses.replace(manifest, items=manifest.items[::-1]))
    assert data.endswith(b"}\n")
    assert encode(decode(data)) == data
    assert decode(data).epoch == 1_700_000_000


def test_blobs_of_the_base_are_not_carried(tmp_path: Path) -> None:
    manifest = _manifest(tmp_path)
    left = manifest.items[0].sha256
    less = dataclasses.replace(manifest, base=f"sha256:{'1' * 64}", omitted=(left,))
    assert set(manifest.carried) - set(decode(encode(less)).carried) == {left}


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": "../kit"},
        {"name": "k\n"},
        {"serial": -1},
        {"created": "yesterday"},
        {"created": "2026-13-01T00:00:00Z"},
        {"created": "1969-12-31T23:59:59Z"},
        {"targets": ("linux x64",)},
        {"targets": ("linux-x64", "linux-x64")},
        {"base": "sha256:12"},
        {"omitted": ("1" * 64,), "base": None},
        {"omitted": ("1" * 64,), "base": f"sha256:{'1' * 64}"},
        {"project": {"a": "md5:1"}},
        {"items": _items(kind="device")},
        {"items": _items(name="/etc/passwd")},
        {"items": _items(name="a/../../b")},
        {"items": _items(name="a\\b")},
        {"items": _items(name="\udcff")},
        {"items": _items(file="a/b")},
        {"items": _items(file="..")},
        {"items": _items(file="C:x")},
        {"items": _items(file="x.")},
        {"items": _items(file="x" * 256)},
        {"items": _items(size=-1)},
        {"items": _items(size=1 << 33)},
        {"items": _items(sha256="A" * 64)},
        {"items": _items(upstream="")},
        {"items": _items(targets=("plan9-x64",))},
        {"items": _items() * 2},
        {"items": _items() + _items(size=2)},
        {"items": _items() + _items(file="NPM-1.0.0.bin")},
        {"items": _items() + _items(size=2, version="2")},
    ],
    ids=repr,
)
def test_what_is_odd_is_refused_by_both_sides(tmp_path: Path, changes: dict[str, Any]) -> None:
    manifest = _manifest(tmp_path, **changes)
    with pytest.raises(IntegrityError, match="manifest cannot be used"):
        encode(manifest)


def test_more_items_or_targets_than_any_kit_has_are_refused(tmp_path: Path) -> None:
    """Each target has a list of all its items: both together may not be made to fill memory."""
    one = _manifest(tmp_path).items[0]
    many = tuple(dataclasses.replace(one, version=str(number)) for number in range(10_001))
    names = tuple(f"linux-{number}" for number in range(17))
    for changes in ({"items": many}, {"targets": names}):
        with pytest.raises(IntegrityError, match="over 10000 items, or over 16"):
            encode(_manifest(tmp_path, **changes))
    assert encode(_manifest(tmp_path, items=many[1:], targets=("linux-x64", *names[2:])))


def _edited(tmp_path: Path, *path: str | int, value: object) -> bytes:
    record = json.loads(encode(_manifest(tmp_path)))
    place = record
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return json.dumps(record, sort_keys=True, separators=(",", ":")).encode() + b"\n"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["format"], "1"),
        (["format"], True),
        (["format"], 0),
        (["serial"], 1.0),
        (["items"], {}),
        (["items", 0], []),
        (["items", 0, "size"], True),
        (["items", 0, "size"], None),
        (["items", 0, "name"], 1),
        (["items", 0, "more"], 1),
        (["items", 0, "targets"], [[]]),
        (["items", 0, "targets"], ["linux-x64", "linux-x64"]),
        (["targets"], [1]),
        (["omitted"], [{}]),
        (["parts"], {"kit.pyz": 1}),
        (["parts"], {"kit.pyz": {"size": 1}}),
        (["parts"], {"../x": {"size": 1, "sha256": "0" * 64}}),
        (["project"], {}),
        (["project", "files"], {"a": 1}),
        (["more"], 1),
    ],
    ids=repr,
)
def test_another_shape_is_refused(tmp_path: Path, path: list[str | int], value: object) -> None:
    with pytest.raises(IntegrityError):
        decode(_edited(tmp_path, *path, value=value))


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"\xff", b"[" * 100_000, b'{"format":' + b"9" * 5000 + b"}"], ids=len
)
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        decode(data)


def test_the_same_said_in_other_bytes_is_refused(tmp_path: Path) -> None:
    data = encode(_manifest(tmp_path))
    for other in (
        data + b"\n",
        data[:-1],
        b" " + data,
        data.replace(b'{"base"', b'{"base":1,"base"'),
    ):
        with pytest.raises(IntegrityError):
            decode(other)


def test_a_later_format_is_not_guessed_at(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="format 2"):
        decode(_edited(tmp_path, "format", value=2))
