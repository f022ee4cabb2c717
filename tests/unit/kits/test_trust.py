"""Whom a kit is taken from: known keys, named keys, serials that only grow."""

import dataclasses
import io
from pathlib import Path

import pytest

from pyodide_offline.errors import StorageError
from pyodide_offline.kits import trust
from pyodide_offline.kits.manifest import Manifest, encode
from pyodide_offline.kits.reading import UNTRUSTED, Head, Reading
from pyodide_offline.kits.trust import Known, Terms
from tests.peers import kits

KEY = kits.key().public
PINNED = Known((KEY.line,))
SIGNED = trust.Judgement((), (KEY,))


@pytest.fixture
def head(tmp_path: Path) -> Head:
    kits.kit(tmp_path / "kits" / "one")
    found = Reading(io.BytesIO((tmp_path / "kits" / "one").read_bytes())).head()
    assert found is not None
    return found


def _against(head: Head, known: Known, terms: Terms) -> list[str]:
    found = trust.judge(head, known, terms).faults
    assert all(one.bit == UNTRUSTED for one in found)
    return [one.reason for one in found]


def test_a_key_that_is_pinned_or_named_holds_and_no_other(head: Head) -> None:
    assert trust.judge(head, PINNED, Terms()) == trust.Judgement((), (KEY,))
    assert trust.judge(head, Known(), Terms(keys=(KEY,))) == trust.Judgement((), (KEY,))
    (reason,) = _against(head, Known(), Terms())
    assert f"the key {KEY.name} is not known here" in reason
    other = kits.key(2).public
    assert _against(head, PINNED, Terms(keys=(other,)))
    # The id of a key is only a name.
    forged = dataclasses.replace(other, id=KEY.id)
    (reason,) = _against(head, Known((forged.line,)), Terms())
    assert "not by the key" in reason


def test_the_key_that_a_kit_offers_is_taken_only_when_asked_and_once(head: Head) -> None:
    assert trust.judge(head, Known(), Terms(first_use=True)).keys == (KEY,)
    other = dataclasses.replace(kits.key(2).public, id=KEY.id)
    assert _against(head, Known((other.line,)), Terms(first_use=True))


def test_an_unsigned_kit_needs_the_users_word(head: Head) -> None:
    bare = dataclasses.replace(head, signatures=())
    assert _against(bare, PINNED, Terms()) == ["nobody has signed it (see --allow-unsigned)"]
    assert _against(bare, PINNED, Terms(unsigned=True)) == []


def test_a_signature_of_another_manifest_or_none_at_all_is_refused(head: Head) -> None:
    other = encode(dataclasses.replace(head.manifest, serial=99))
    assert _against(dataclasses.replace(head, data=other), PINNED, Terms())
    assert _against(dataclasses.replace(head, signatures=(b"?",)), PINNED, Terms())
    comment = kits.key().sign(head.data, "kit other serial 7")
    (reason,) = _against(dataclasses.replace(head, signatures=(comment,)), PINNED, Terms())
    assert "another kit" in reason


def test_a_lower_serial_of_the_same_kit_and_key_needs_the_users_word(
    head: Head, tmp_path: Path
) -> None:
    path = tmp_path / "state" / "trust.json"
    trust.record(path, dataclasses.replace(head, manifest=_serial(head, 8)), SIGNED)
    known = trust.load(path)
    assert known.keys == (KEY.line,)
    (reason,) = _against(head, known, Terms())
    assert "serial 7 is lower than 8" in reason
    assert _against(head, known, Terms(downgrade=True)) == []
    trust.record(path, head, SIGNED)
    assert trust.load(path) == known
    renamed = dataclasses.replace(head.manifest, name="another")
    data = encode(renamed)
    signature = kits.key().sign(data, "kit another serial 7")
    other = dataclasses.replace(head, manifest=renamed, data=data, signatures=(signature,))
    assert _against(other, known, Terms()) == []


def _signed(head: Head, *numbers: int) -> Head:
    new = [kits.key(one).sign(head.data, head.manifest.comment) for one in numbers]
    return dataclasses.replace(head, signatures=tuple(new))


def test_so_many_keys_must_have_signed_as_the_user_wants(head: Head) -> None:
    keys = tuple(kits.key(number).public for number in (1, 2, 3))
    both = _signed(head, 1, 2)
    assert trust.judge(both, Known(), Terms(keys=keys, need=2)) == trust.Judgement((), keys[:2], 2)
    (reason,) = _against(both, Known(), Terms(keys=keys, need=3))
    assert reason == "2 of the 3 signatures that it needs hold"
    (reason,) = _against(both, PINNED, Terms(need=2))
    assert f"1 of the 2 signatures that it needs hold; not known here: {keys[1].name}" in reason
    # The same key twice, and a stranger's signature, count for nothing.
    assert _against(_signed(head, 1, 1), PINNED, Terms(need=2))
    assert _against(_signed(head, 1, 9), Known(), Terms(keys=keys, need=2))
    assert _against(_signed(head, 1, 9), Known(), Terms(keys=keys)) == []
    assert _against(_signed(head), PINNED, Terms(unsigned=True, need=2))


def test_a_known_keys_signature_that_does_not_hold_is_a_fault_among_good_ones(head: Head) -> None:
    bad = kits.key(2).sign(b"something else", head.manifest.comment)
    mixed = dataclasses.replace(head, signatures=(*head.signatures, bad))
    assert _against(mixed, PINNED, Terms()) == []
    keys = tuple(kits.key(number).public for number in (1, 2))
    (reason,) = _against(mixed, Known(), Terms(keys=keys))
    assert "not by the key" in reason


def test_how_many_must_sign_is_kept_for_the_next_kit_of_that_name(
    head: Head, tmp_path: Path
) -> None:
    path = tmp_path / "trust.json"
    keys = tuple(kits.key(number).public for number in (1, 2))
    both = _signed(head, 1, 2)
    trust.record(path, both, trust.judge(both, Known(), Terms(keys=keys, need=2)))
    known = trust.load(path)
    assert (set(known.keys), known.needs) == ({key.line for key in keys}, {"example": 2})
    assert _against(both, known, Terms()) == []
    (reason,) = _against(head, known, Terms())
    assert "1 of the 2 signatures" in reason
    again = trust.judge(head, known, Terms(need=1))
    assert again.faults == ()
    trust.record(path, head, again)
    assert trust.load(path).needs == {}


def test_a_record_of_an_older_release_is_read(tmp_path: Path) -> None:
    (tmp_path / "old").write_text(f'{{"keys":["{KEY.line}"],"serials":{{"x/y":3}}}}')
    assert trust.load(tmp_path / "old") == Known((KEY.line,), {"x/y": 3})


def _serial(head: Head, serial: int) -> Manifest:
    return dataclasses.replace(head.manifest, serial=serial)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"keys":["x"],"serials":{}}', "\x00"])
def test_a_damaged_record_is_not_taken_for_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "trust").write_text(text)
    with pytest.raises(StorageError, match="accepted before"):
        trust.load(tmp_path / "trust")
    assert trust.load(tmp_path / "none") == Known()
