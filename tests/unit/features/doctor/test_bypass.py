import pytest

from pyodide_offline.features.doctor import bypass, places
from pyodide_offline.features.doctor.finding import State
from pyodide_offline.features.doctor.observed import Observed
from pyodide_offline.features.doctor.places import Place
from pyodide_offline.session import Session


@pytest.fixture
def observed(session: Session, monkeypatch: pytest.MonkeyPatch) -> Observed:
    monkeypatch.setattr(
        places, "official", lambda _: Place("official", "https://bundles.test/", "a test")
    )
    monkeypatch.setattr(places, "npm", lambda _: Place("npm", "https://npm.corp.test/", "x"))
    monkeypatch.setattr(places, "pypi", lambda _: None)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.test:3128")
    return Observed(session)


def test_without_proxy_or_value_there_is_nothing_to_compare(
    observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bypass.differences(observed).summary == "NO_PROXY is not set."
    for name in ("HTTPS_PROXY", "HTTP_PROXY"):
        monkeypatch.delenv(name)
    assert bypass.differences(observed).summary == "No proxy is named."
    assert bypass.local(observed).state is State.SKIP


def test_a_host_that_matters_and_is_read_differently_is_a_warning(
    observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "*.corp.test")
    found = bypass.differences(observed)
    assert found.state is State.WARN
    assert "npm.corp.test directly here, but not in curl" in found.summary
    assert found.fix == 'export NO_PROXY="*.corp.test,npm.corp.test"'
    assert found.evidence["readings"]["npm.corp.test:443"]["Node"] == "direct"  # type: ignore[index]


def test_a_difference_elsewhere_is_shown_and_no_warning(
    observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1,10.0.0.0/8")
    found = bypass.differences(observed)
    assert found.state is State.PASS
    assert found.evidence["readings"]["10.0.0.1:443"]["httpx"] == "proxy"  # type: ignore[index]


def test_a_value_that_ends_httpx_is_a_warning_with_a_value_that_does_not(
    observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "localhost,[::1],127.0.0.1")
    found = bypass.differences(observed)
    assert (found.state, found.fix) == (State.WARN, 'export NO_PROXY="localhost,127.0.0.1"')


def test_a_dev_server_that_would_be_asked_through_the_proxy(
    observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = bypass.local(observed)
    assert (found.state, found.repair) == (State.WARN, "no-proxy")
    assert found.fix == 'export NO_PROXY="localhost,127.0.0.1,::1"'
    monkeypatch.setenv("NO_PROXY", "corp.test,localhost")
    found = bypass.local(observed)
    assert found.fix == 'export NO_PROXY="corp.test,localhost,127.0.0.1,::1"'
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1,::1")
    assert bypass.local(observed).state is State.PASS
