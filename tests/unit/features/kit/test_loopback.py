"""A kit in place of the network: asked by pip, as a proxy and as an origin."""

import contextlib
import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator

import pytest

from pyodide_offline.features.kit import loopback
from pyodide_offline.features.kit.authority import Authority
from pyodide_offline.features.kit.loopback import Served
from tests.unit.features.kit import shelves


@pytest.fixture
def served(tmp_path) -> Iterator[Served]:
    authority = Authority(tmp_path / "store")
    with loopback.serving(shelves.shelf(tmp_path), authority) as found:
        yield found


def opener(served: Served) -> urllib.request.OpenerDirector:
    proxies = dict.fromkeys(("http", "https"), served.origin)
    context = ssl.create_default_context(cafile=str(served.trusted))
    return urllib.request.build_opener(
        urllib.request.ProxyHandler(proxies), urllib.request.HTTPSHandler(context=context)
    )


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_any_host_is_answered_for(served, scheme):
    asked = opener(served)
    for host in ("npm.example", "npm.example:4873", "198.51.100.7"):
        with asked.open(f"{scheme}://{host}/@s%2fone", timeout=20) as answer:
            versions = json.load(answer)["versions"]
        tarball = versions["1.10.0"]["dist"]["tarball"]
        assert tarball == f"{scheme}://{host}/@s/one/-/one-1.10.0.tgz"
        with asked.open(tarball, timeout=20) as answer:
            assert len(answer.read()) == int(answer.headers["Content-Length"])


def test_one_connection_is_asked_often(served):
    host, port = served.origin.removeprefix("http://").split(":")
    context = ssl.create_default_context(cafile=str(served.trusted))
    connection = http.client.HTTPSConnection(host, int(port), timeout=20, context=context)
    connection.set_tunnel("npm.example", 443)
    with contextlib.closing(connection):
        for path, status in (("/@s/one/1.9.0", 200), ("/two", 404), ("/@s/one/1.10.0", 200)):
            connection.request("GET", path)
            answer = connection.getresponse()
            assert (answer.status, bool(answer.read())) == (status, True)
        connection.request("HEAD", "/@s/one/1.10.0")
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"")


@pytest.mark.parametrize(
    "sent",
    [b"CONNECT : HTTP/1.1\r\n\r\n", b"CONNECT [ HTTP/1.1\r\n\r\n",
     b"CONNECT x:1 HTTP/1.1\r\n\r\nno TLS\r\n",
     b"GET nonsense HTTP/1.1\r\n\r\n", b"POST /two HTTP/1.1\r\nContent-Length: 0\r\n\r\n"],
)  # fmt: skip
def test_who_asks_wrongly_gets_nothing_and_the_others_are_served(served, sent):
    host, port = served.origin.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 20) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        while client.recv(4096):
            pass
    with opener(served).open("https://npm.example/@s%2fone", timeout=20) as answer:
        assert answer.status == 200


def test_a_name_that_no_certificate_can_have_ends_that_connection_alone(served):
    host, port = served.origin.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 20) as client:
        client.sendall(b"CONNECT b\xfccher.example:443 HTTP/1.1\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        while client.recv(4096):
            pass
    with opener(served).open("https://npm.example/@s%2fone", timeout=20) as answer:
        assert answer.status == 200


def test_pip_installs_from_it_by_its_own_settings(served, tmp_path):
    given = {**os.environ, "PIP_EXTRA_INDEX_URL": "http://192.0.2.1/"}
    environ = loopback.environment(given, served.origin)
    trusting = {"PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"}
    environ |= dict.fromkeys(trusting, str(served.trusted))
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", tmp_path / "site"]
    subprocess.run([*command, "some-thing"], env=environ, check=True, timeout=60)
    assert (tmp_path / "site" / "some_thing.py").is_file()


def test_it_listens_on_loopback_only(served):
    assert served.origin.startswith("http://127.0.0.1:")


def test_the_users_proxies_are_left_out_and_the_rest_stays():
    given = {
        "HTTPS_PROXY": "http://user:secret@proxy.example",
        "all_proxy": "socks5://user:secret@proxy.example",
        "npm_config_https_proxy": "http://user:secret@proxy.example",
        "PIP_INDEX_URL": "https://user:secret@index.example",
        "NPM_CONFIG_REGISTRY": "https://registry.example",
        "UV_INDEX": "https://index.example",
        "LANG": "C",
    }
    found = loopback.environment(given, "http://127.0.0.1:1")
    assert not [value for value in found.values() if "secret" in value]
    assert found["LANG"] == "C"
    assert found["NPM_CONFIG_REGISTRY"] == "https://registry.example"
    assert found["UV_INDEX"] == "https://index.example"
    assert found["HTTPS_PROXY"] == found["npm_config_https_proxy"] == "http://127.0.0.1:1"
