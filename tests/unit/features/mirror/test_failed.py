"""What failed stands for some seconds."""

import pytest

from pyodide_offline.errors import NetworkError
from pyodide_offline.features.mirror import failed
from pyodide_offline.features.mirror.failed import Failed


def test_it_stands_and_then_does_not():
    now = [0.0]
    known = Failed(5, clock=lambda: now[0])
    known.note("a", NetworkError("It broke."))
    with pytest.raises(NetworkError, match="It broke"):
        known.check("a")
    known.check("b")
    now[0] = 5.1
    known.check("a")


def test_it_can_be_forgotten():
    known = Failed()
    known.note("a", NetworkError("It broke."))
    known.forget("a")
    assert known.find("a") is None


def test_it_is_bounded(monkeypatch):
    monkeypatch.setattr(failed, "MOST", 3)
    now = [0.0]
    known = Failed(5, clock=lambda: now[0])
    for name in "abcd":
        known.note(name, NetworkError(name))
    assert [name for name in "abcd" if known.find(name)] == ["a", "b", "c"]
    now[0] = 6
    known.note("e", NetworkError("e"))
    assert known.find("e")
