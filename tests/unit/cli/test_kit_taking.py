"""Taking a kit: what every command that takes one does alike."""

from pathlib import Path

import pytest

from pyodide_offline.cli import kit_taking
from pyodide_offline.errors import UntrustedError
from pyodide_offline.kits.trust import Terms
from pyodide_offline.progress import Silent
from tests.peers import kits


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYODIDE_OFFLINE_STATE_DIR", str(tmp_path / "state"))


def test_a_kit_is_placed_once_and_kept_the_second_time(tmp_path: Path) -> None:
    kits.kit(tmp_path / "my.kit")
    files, terms = (tmp_path / "my.kit",), Terms(first_use=True)
    name, written, kept = kit_taking.placed(files, terms, tmp_path / "store", Silent())
    assert written > 0
    assert kept == 0
    assert kit_taking.placed(files, terms, tmp_path / "store", Silent()) == (name, 0, written)


def test_a_kit_of_an_unknown_key_is_refused(tmp_path: Path) -> None:
    kits.kit(tmp_path / "my.kit")
    with pytest.raises(UntrustedError):
        kit_taking.placed((tmp_path / "my.kit",), Terms(), tmp_path / "store", Silent())


def test_only_regular_files_have_a_total(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert kit_taking.total((tmp_path / "a", tmp_path / "a")) == 6
    assert kit_taking.total((tmp_path / "a", tmp_path)) is None
