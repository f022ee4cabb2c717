"""What the server answers, as a decision and over a socket."""

import http.client
import socket
from urllib.parse import urlsplit

import pytest

from pyodide_offline.errors import NetworkError
from pyodide_offline.features.browser import folder, serve

PAGE = '<html data-folder="sha256-' + "A" * 43 + '=">\n'


@pytest.fixture
def served(tmp_path):
    root = tmp_path / "site"
    files = {"index.html": PAGE, "p/x.wasm": "w", "p/x.wasm.br": "b", "p/y.mjs": "m", "ü": "u"}
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    folder.seal(root, {})
    return folder.read(root)


def headers(answer):
    return dict(answer.headers)


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/index.html", "text/html; charset=utf-8"),
        ("/p/x.wasm", "application/wasm"),
        ("/p/y.mjs", "text/javascript; charset=utf-8"),
        ("/folder.json", "application/json"),
        ("/%C3%BC", "application/octet-stream"),
    ],
)
def test_content_types(served, target, kind):
    found = serve.answer(served, target)
    assert (found.status, headers(found)["Content-Type"]) == (200, kind)


def test_only_an_address_with_the_right_digest_is_immutable(served):
    part = folder.version(served.files["p/x.wasm"].integrity)
    assert "immutable" in headers(serve.answer(served, f"/p/x.wasm?v={part}"))["Cache-Control"]
    for target in ("/p/x.wasm", "/p/x.wasm?v=other", "/", "/folder.json?v=x"):
        assert headers(serve.answer(served, target))["Cache-Control"] == "no-cache"


def test_an_etag_saves_the_body_until_the_file_changes(served):
    tag = headers(serve.answer(served, "/p/y.mjs"))["ETag"]
    assert serve.answer(served, "/p/y.mjs", etag=f'"x", W/{tag}').status == 304
    (served.root / "p/y.mjs").write_text("longer")
    assert serve.answer(served, "/p/y.mjs", etag=tag).status == 200


def test_brotli_is_sent_to_who_takes_it(served):
    found = serve.answer(served, "/p/x.wasm", encodings="gzip, br;q=0.9")
    assert headers(found)["Content-Encoding"] == "br"
    assert found.body == served.root / "p/x.wasm.br"
    assert headers(found)["Content-Type"] == "application/wasm"
    plain = serve.answer(served, "/p/x.wasm", encodings="gzip")
    assert "Content-Encoding" not in headers(plain)
    assert headers(plain)["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    "target", ["/../secret", "/%2e%2e/secret", "/p/..%2f..%2fsecret", "/none", "/p/", "//p/y.mjs"]
)
def test_nothing_but_the_folders_files_is_served(served, target):
    (served.root.parent / "secret").write_text("s")
    (served.root / "foreign.txt").write_text("f")
    assert serve.answer(served, target).status == 404
    assert serve.answer(served, "/foreign.txt").status == 404


def test_a_policy_forbids_every_other_host(served):
    policy = headers(serve.answer(served, "/"))["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self';" in policy
    assert "https:" not in policy


def test_a_prefix_is_taken_off(served):
    assert serve.answer(served, "/a/b/p/y.mjs", prefix="/a/b/").status == 200
    assert serve.answer(served, "/p/y.mjs", prefix="/a/b/").status == 404


def ask(url, method="GET", **headers):
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    connection.request(method, urlsplit(url).path, headers=headers)
    response = connection.getresponse()
    found = response.status, response.read(), response.headers
    connection.close()
    return found


def test_over_a_socket(served):
    with serve.started(served, prefix="/deep/") as url:
        status, body, said = ask(f"{url}p/y.mjs")
        assert (status, body, said["Content-Length"]) == (200, b"m", "1")
        assert ask(f"{url}p/y.mjs", "HEAD")[:2] == (200, b"")
        assert ask(f"{url}none")[0] == 404
        # A name that resolves to this machine is no way in for a stranger's page.
        assert ask(url, Host="evil.test")[0] == 421


def test_a_port_that_is_taken_is_an_error(served):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(NetworkError, match=str(port)), serve.started(served, port=port):
            pass
