"""What a front keeps outside the store."""

import io
import threading

import pytest

from pyodide_offline.errors import SettingsError
from pyodide_offline.features.mirror import state
from pyodide_offline.features.mirror.events import Events
from pyodide_offline.features.mirror.folder import FolderDepot
from pyodide_offline.kits import signing


def test_the_key_is_made_once_and_nobody_else_reads_it(tmp_path):
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(state.key(tmp_path / "a b" / "k").public.line))
        for _ in range(4)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert (tmp_path / "a b" / "k").stat().st_mode & 0o777 == 0o600
    assert [one.line for one in state.known_keys(tmp_path / "a b" / "k")] == found[:1]
    assert state.known_keys(tmp_path / "k") == []


def test_a_key_that_is_trusted_is_a_line_or_a_file(tmp_path):
    made = signing.generate()
    signing.save(made, tmp_path / "k")
    assert state.public_key(made.public.line) == made.public
    assert state.public_key(str(tmp_path / "k.pub")) == made.public
    assert state.known_keys(tmp_path / "k", [made.public.line]) == [made.public] * 2
    with pytest.raises(SettingsError, match="no public key"):
        state.public_key("nonsense")


def test_each_store_has_its_own_remembered_head(tmp_path):
    one, two = (FolderDepot(tmp_path / name) for name in ("one", "two"))
    assert state.memory(tmp_path / "k", one) != state.memory(tmp_path / "k", two)
    assert state.memory(tmp_path / "k", one) == state.memory(tmp_path / "k", one)


def test_a_ledger_is_signed_with_the_fronts_key(tmp_path):
    depot = FolderDepot(tmp_path / "depot")
    state.ledger(depot, tmp_path / "state" / "k", Events(io.StringIO()))
    assert state.known_keys(tmp_path / "state" / "k")
