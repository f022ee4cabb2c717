"""Kits compared and merged: every blob is where its manifest says, or named as missing."""

import dataclasses
import io
from pathlib import Path

import pytest

from pyodide_offline.errors import IntegrityError
from pyodide_offline.kits import comparing
from pyodide_offline.kits.manifest import Manifest, encode
from pyodide_offline.kits.reading import Head, Reading
from tests.peers import kits


def _head(path: Path, extra: bytes = b"") -> Head:
    kits.kit(path, extra=extra)
    found = Reading(io.BytesIO(path.read_bytes())).head()
    assert found is not None
    return found


def test_what_the_base_lists_is_left_out_of_the_next(tmp_path: Path) -> None:
    old, new = _head(tmp_path / "a" / "old"), _head(tmp_path / "b" / "new", b"x")
    less = comparing.against(new.manifest, old)
    assert list(less.carried.values()) == [2101]
    assert less.base is not None
    assert encode(less)
    alone = dataclasses.replace(new.manifest, items=new.manifest.items[2:3])
    assert alone.items[0].kind == "npm"
    assert comparing.against(alone, old).base is None


def test_two_kits_in_one_have_all_of_both(tmp_path: Path) -> None:
    one = _head(tmp_path / "a" / "one").manifest
    item = kits.item("wheel", b"other", version="2.0.0")
    more = dataclasses.replace(item, targets=("linux-arm64",))
    other = Manifest("other", 9, (*one.items[:2], more), ("linux-arm64",))
    found = comparing.merged([one, other])
    assert (found.name, found.serial, found.project) == ("example", 9, {})
    assert {item.key for item in found.items} == {item.key for item in (*one.items, more)}
    assert found.targets == ("linux-arm64", "linux-x64")
    assert comparing.merged([one, one], serial=3) == dataclasses.replace(one, serial=3, parts={})


def test_a_target_is_never_lost_by_merging() -> None:
    item = kits.item("wheel", b"x")
    ours = [dataclasses.replace(item, targets=one) for one in [("a-1",), ("b-1",), ()]]
    kit = [Manifest("k", 1, (one,), ("a-1", "b-1")) for one in ours]
    assert comparing.merged(kit[:2]).items[0].targets == ("a-1", "b-1")
    assert comparing.merged(kit).items[0].targets == ()


def test_two_contents_of_one_item_and_two_bases_are_refused(tmp_path: Path) -> None:
    old, new = _head(tmp_path / "a" / "old"), _head(tmp_path / "b" / "new", b"x")
    with pytest.raises(IntegrityError, match="two different"):
        comparing.merged([old.manifest, new.manifest])
    less = comparing.against(old.manifest, old)
    other = dataclasses.replace(less, base=f"sha256:{'1' * 64}")
    with pytest.raises(IntegrityError, match="two different bases"):
        comparing.merged([less, other])
    assert comparing.merged([less, old.manifest]).omitted == ()
    assert comparing.merged([less, less]).base == less.base
