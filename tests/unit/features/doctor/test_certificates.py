from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from pyodide_offline.errors import NetworkError
from pyodide_offline.features.doctor import certificates, places
from pyodide_offline.features.doctor.finding import Finding, State, failed
from pyodide_offline.features.doctor.observed import Observed
from pyodide_offline.features.doctor.places import Outcome, Place
from pyodide_offline.network import reach, witness
from pyodide_offline.network.chain import Certificate
from pyodide_offline.session import Session

NOW = datetime.now(UTC)
PLACE = Place("official", "https://bundles.test/", "x")


def shown(issuer: str) -> tuple[Certificate, ...]:
    day = timedelta(days=1)
    return (
        Certificate("bundles.test", issuer, ("bundles.test",), NOW - day, NOW + day, "00", False),
    )


def look(
    session: Session,
    monkeypatch: pytest.MonkeyPatch,
    outcome: Outcome,
    *,
    issuer: str = "Public Root",
    public: str | None = None,
) -> Finding:
    monkeypatch.setattr(places, "known", lambda _: [PLACE])
    monkeypatch.setattr(places, "official", lambda _: PLACE)
    monkeypatch.setattr(places, "outcome", lambda *_: outcome)
    monkeypatch.setattr(witness, "look", lambda *_, **__: shown(issuer))
    monkeypatch.setattr(certificates, "verified", lambda *_: public)
    return certificates.issuers(Observed(session))


GOOD = Outcome(reach.Answer(200, {}, b"", 1))


def untrusted(code: int) -> Outcome:
    facts = {"stage": "untrusted", "code": code, "reason": "no"}
    return Outcome(error=NetworkError("Not trusted.", facts=facts))


def test_a_public_certificate_passes_with_its_issuer(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = look(session, monkeypatch, GOOD)
    assert found.state is State.PASS
    assert "intercepted" not in found.evidence
    assert found.evidence["seen"] == {"bundles.test": {"issuer": '"Public Root"', "product": None}}


def test_an_interception_that_is_trusted_passes_and_is_named(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = look(session, monkeypatch, GOOD, issuer="Zscaler Intermediate", public="unknown")
    assert found.state is State.PASS
    assert found.summary.startswith("Zscaler opens TLS to bundles.test")
    assert found.evidence["intercepted"] is True


def test_an_unknown_issuer_that_the_public_roots_do_not_know_is_an_interception(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = look(session, monkeypatch, untrusted(20), issuer="Corp CA", public="unknown")
    assert (found.state, found.blame) == (State.FAIL, "interception")
    assert "Corp CA" in found.summary
    assert "official" in found.evidence["untrusted"]  # type: ignore[operator]


def test_an_issuer_that_only_this_machine_does_not_know_is_its_own_matter(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/x")
    found = look(session, monkeypatch, untrusted(20), public=None)
    assert (found.state, found.blame, found.fix) == (
        State.FAIL, "toolchain", "unset SSL_CERT_FILE",
    )  # fmt: skip


@pytest.mark.parametrize("code", [10, 9, 62])
def test_expired_early_and_misnamed_ones_are_no_interception(
    session: Session, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    assert look(session, monkeypatch, untrusted(code), public="no").blame == "network"


def test_what_is_not_reached_is_not_looked_at(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "known", lambda _: [PLACE])
    found = certificates.issuers(Observed(session, {"direct.tcp": failed("")}))
    assert found.state is State.SKIP


def clock(session: Session, monkeypatch: pytest.MonkeyPatch, date: str) -> Finding:
    monkeypatch.setattr(places, "known", lambda _: [PLACE])
    answer = Outcome(reach.Answer(200, {"date": date}, b"", 1))
    monkeypatch.setattr(places, "outcome", lambda *_: answer)
    return certificates.clock(Observed(session))


def test_a_clock_that_is_wrong_is_a_warning_with_how_much(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    right = clock(session, monkeypatch, format_datetime(now, usegmt=True))
    assert right.state is State.PASS
    late = clock(session, monkeypatch, format_datetime(now - timedelta(hours=3), usegmt=True))
    assert (late.state, "3.0 hours ahead" in late.summary) == (State.WARN, True)
    early = clock(session, monkeypatch, format_datetime(now + timedelta(minutes=20), usegmt=True))
    assert "20 minutes behind" in early.summary
    assert clock(session, monkeypatch, "nonsense").state is State.SKIP
