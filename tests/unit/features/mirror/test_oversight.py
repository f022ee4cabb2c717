"""An operator accepts, and audits."""

import asyncio
import io

import pytest

from pyodide_offline import digest as digests
from pyodide_offline.errors import PinChangedError, SettingsError
from pyodide_offline.features.mirror import oversight, state
from pyodide_offline.features.mirror.events import Events
from pyodide_offline.features.mirror.folder import FolderDepot
from pyodide_offline.features.mirror.oversight import Office

ONE, TWO = (digests.of_bytes(data, "sha512").sri for data in (b"1", b"2"))


@pytest.fixture
def office(tmp_path):
    return Office(str(tmp_path / "depot"), {}, tmp_path / "cache", tmp_path / "state" / "key")


async def _seen(office, *pins):
    depot = FolderDepot(office.cache.parent / "depot")
    ledger = state.ledger(depot, office.signing_key, Events(io.StringIO()))
    for pin in pins:
        await ledger.admit("npm", "left-pad", {"1.0.0": pin})


def test_a_change_is_shown_accepted_and_the_audit_is_well(office):
    with pytest.raises(PinChangedError):
        asyncio.run(_seen(office, ONE, TWO))
    pins, refused = oversight.pending(office, "npm", "left-pad")
    assert (pins, [one.given for one in refused]) == ({"1.0.0": ONE}, [TWO])
    assert oversight.accept(office, "npm", "left-pad", "1.0.0") == (ONE, TWO)
    asyncio.run(_seen(office, TWO))
    report = oversight.audit(office)
    assert (report.faults, report.entries) == ([], 2)
    head = f"{report.head.number}:{report.head.sha256}"
    assert oversight.audit(office, [head]).faults == []
    assert oversight.audit(office, [f"1:{'0' * 64}"]).faults != []


def test_a_log_that_was_rolled_back_is_found_by_what_was_remembered(office, tmp_path):
    asyncio.run(_seen(office, ONE))
    (tmp_path / "depot/v1/refs/chain-head/head").unlink()
    assert any("does not lead back" in one.reason for one in oversight.audit(office).faults)


def test_without_a_key_nothing_can_be_held_to_it(office):
    with pytest.raises(SettingsError, match="no key"):
        oversight.audit(office)


@pytest.mark.parametrize("text", ["", "1", "x:" + "0" * 64, "1:abc"])
def test_what_is_no_head(office, text):
    asyncio.run(_seen(office, ONE))
    with pytest.raises(SettingsError, match="no head"):
        oversight.audit(office, [text])
