import socket

import pytest

from pyodide_offline.features.doctor import names
from pyodide_offline.features.doctor.finding import State
from pyodide_offline.features.doctor.observed import Observed
from pyodide_offline.session import Session


def test_a_name_that_nobody_knows_blames_the_dns_and_says_what_to_type(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lookup(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    found = names.system(Observed(session))
    assert (found.state, found.blame) == (State.FAIL, "dns")
    assert "no name server answers" in found.summary
    assert found.fix.startswith("pyodide-offline resolve --compare ")


def test_a_name_that_is_found_passes_with_its_addresses(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer * 2)
    found = names.system(Observed(session))
    assert (found.state, found.evidence["addresses"]) == (State.PASS, ["192.0.2.1"])
