"""Whether the network may be asked."""

from dataclasses import FrozenInstanceError, replace

import pytest

from pyodide_offline.errors import OfflineError
from pyodide_offline.session import Session


def test_offline_names_what_is_missing_and_the_way_to_get_it(session: Session) -> None:
    with pytest.raises(OfflineError) as caught:
        replace(session, offline=True).require_network("pyodide@1.0.0")
    assert caught.value.what.startswith("pyodide@1.0.0 is not in the store")
    assert "pyodide-offline prefetch" in caught.value.next_step


def test_online_nothing_is_said(session: Session) -> None:
    session.require_network("anything")


def test_a_session_cannot_be_changed_under_way(session: Session) -> None:
    with pytest.raises(FrozenInstanceError):
        session.offline = True  # type: ignore[misc]
