"""What httpx's exceptions mean for a person, and which are worth another try."""

import socket
import ssl

import httpx
import pytest

from pyodide_offline.network import failures

URL = "https://me:s3cret@registry.example:8443/x"


def caused(error: httpx.HTTPError, cause: BaseException) -> httpx.HTTPError:
    error.__cause__ = cause
    return error


NOT_FOUND = caused(httpx.ConnectError("x"), socket.gaierror(socket.EAI_NONAME, "x"))
AGAIN = caused(httpx.ConnectError("x"), socket.gaierror(socket.EAI_AGAIN, "x"))
UNTRUSTED = caused(httpx.ConnectError("x"), ssl.SSLCertVerificationError("self-signed"))


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (NOT_FOUND, "is not found"),
        (UNTRUSTED, "not trusted"),
        (caused(httpx.ConnectError("x"), ConnectionRefusedError()), "refuses the connection"),
        (httpx.ConnectTimeout("x"), "does not answer"),
        (httpx.ReadTimeout("x"), "stopped sending"),
        (httpx.ProxyError("403 Forbidden"), "proxy does not let"),
        (httpx.RemoteProtocolError("closed"), "broke: closed"),
    ],
)
def test_each_failure_is_named_with_its_host_and_without_secrets(
    error: httpx.HTTPError, says: str
) -> None:
    found = failures.explain(error, URL, {})
    assert says in found.what
    assert "registry.example:8443" in found.what
    assert "s3cret" not in str(found)
    assert found.next_step


def test_the_proxy_that_was_used_is_named_without_its_password() -> None:
    environ = {"HTTPS_PROXY": "http://me:s3cret@proxy.example:3128"}
    found = failures.explain(httpx.ConnectTimeout("x"), URL, environ)
    assert "HTTPS_PROXY" in found.why
    assert "proxy.example:3128" in found.why
    assert "s3cret" not in str(found)


def test_an_untrusted_certificate_names_the_option_for_a_ca_file() -> None:
    step = failures.explain(UNTRUSTED, "https://127.0.0.1:1/", {}).next_step
    assert "--ca FILE" in step


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (NOT_FOUND, False),
        (AGAIN, True),
        (UNTRUSTED, False),
        (httpx.ReadError("x"), True),
        (httpx.ProxyError("503 Service Unavailable"), True),
        (httpx.ProxyError("407 Proxy Authentication Required"), False),
        (httpx.UnsupportedProtocol("x"), False),
    ],
)
def test_only_what_may_pass_is_tried_again(error: httpx.HTTPError, again: bool) -> None:
    assert failures.worth_another_try(error) is again


def test_lower_case_variables_win() -> None:
    environ = {"https_proxy": "http://low", "HTTPS_PROXY": "http://high"}
    assert failures.proxy_for(URL, environ) == ("https_proxy", "http://low")
