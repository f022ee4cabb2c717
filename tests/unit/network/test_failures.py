"""What an exception on an open connection means for a person, and what is worth another try."""

import ssl

import httpcore
import httpx
import pytest

from pyodide_offline.errors import NetworkError
from pyodide_offline.network import failures, refusals
from pyodide_offline.network.backend import EarlyBytesError
from pyodide_offline.network.proxies import parse

URL = "https://me:s3cret@registry.example:8443/x?sig=s3cret"


def caused(cause: BaseException) -> Exception:
    error = httpcore.ConnectError("x")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "says", "kind"),
    [
        (caused(ssl.SSLError(1, "wrong version number")), "TLS with", "tls"),
        (httpcore.ConnectTimeout("x"), "never answers", "mute"),
        (httpcore.ReadTimeout("x"), "stopped sending", "mute"),
        (httpcore.RemoteProtocolError("closed"), "broke: closed", "broken"),
        (httpx.DecodingError("x"), "not in the encoding", "garbage"),
        (httpx.InvalidURL("x"), "not a usable address", "garbage"),
    ],
)
def test_each_failure_is_named_with_its_host_and_without_secrets(
    error: Exception, says: str, kind: str
) -> None:
    found = failures.explain(error, URL, environ={})
    assert says in found.what
    assert "registry.example:8443" in found.what
    assert found.kind == kind
    assert "s3cret" not in str(found)


def test_what_a_proxy_lets_in_that_is_not_the_host_is_the_proxys_matter() -> None:
    proxy = parse("http://me:s3cret@proxy.example:3128", "HTTPS_PROXY")
    found = failures.explain(EarlyBytesError("x"), URL, proxy, environ={})
    assert "proxy.example:3128 does not let registry.example:8443 through" in found.what
    assert not failures.worth_another_try(found)


@pytest.mark.parametrize("kind", [ssl.SSLEOFError, ssl.SSLZeroReturnError])
def test_a_connection_that_ends_within_tls_is_said_in_words(kind: type[ssl.SSLError]) -> None:
    found = failures.explain(caused(kind(8, "EOF")), URL, environ={})
    assert "ends in the middle" in found.what
    assert found.kind == "tls"


def test_the_proxy_in_between_is_named_without_its_password() -> None:
    proxy = parse("http://me:s3cret@proxy.example:3128", "HTTPS_PROXY")
    found = failures.explain(httpcore.ReadTimeout("x"), URL, proxy, environ={})
    assert "through http://proxy.example:3128, which HTTPS_PROXY names" in found.why
    assert "s3cret" not in str(found)


def test_an_untrusted_certificate_names_the_option_for_a_ca_file() -> None:
    untrusted = caused(ssl.SSLCertVerificationError("self-signed"))
    found = failures.explain(untrusted, "https://127.0.0.1:1/", environ={})
    assert "not trusted" in found.what
    assert "--ca FILE" in found.next_step
    assert found.kind == "untrusted"


def test_what_the_dialer_said_is_not_said_in_other_words() -> None:
    said = NetworkError("The proxy says no.", kind="forbidden")
    assert failures.explain(caused(said), URL, environ={}) is said


@pytest.mark.parametrize(
    ("kind", "again"),
    [
        ("name", False),
        ("dns", False),
        ("silent", False),
        ("routeless", False),
        ("refused", True),
        ("untrusted", False),
        ("broken", True),
        ("unreached", True),
        ("login", False),
        ("forbidden", False),
        ("", False),
    ],
)
def test_only_what_may_pass_is_tried_again(kind: str, again: bool) -> None:
    assert failures.worth_another_try(NetworkError("x", kind=kind)) is again


def test_a_name_that_nobody_can_look_up_now_is_told_from_one_that_is_not_there() -> None:
    later = refusals.unreachable("a.example", 443, None, "dns")
    assert later.what == "a.example:443 is not found: no name server answers."
    assert later.kind == "dns"
