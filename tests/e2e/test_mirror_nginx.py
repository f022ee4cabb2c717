"""Debian's nginx before a front, by the examples that users get: it sends held files itself."""

import hashlib
import os
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
import trustme

from tests.peers.crowd import PATH, Fronts, crowd, upstream
from tests.peers.nginx import example, nginx

pytestmark = pytest.mark.e2e

BODY = os.urandom(300_000)
FRONT, ROOT = "127.0.0.1:8417", "/var/cache/pyodide-mirror/nginx"


def _open(front, root):
    return example(
        "nginx.conf",
        {
            FRONT: front.removeprefix("http://"),
            f"{ROOT}/open;": f"'{root}/open';",
            "listen 80;": "listen 127.0.0.1:PORT;",
            "listen 80 default_server;": "listen 127.0.0.1:PORT default_server;",
            "mirror.example.com;": "127.0.0.1;",
        },
    )


def ask(url, headers=None, method="GET", authority=None):
    """Return status, headers and body; of refusals too."""
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if authority:
        context = ssl.create_default_context()
        authority.configure_trust(context)
        handlers.append(urllib.request.HTTPSHandler(context=context))
    asked = urllib.request.Request(url, headers=headers or {}, method=method)  # noqa: S310
    try:
        with urllib.request.build_opener(*handlers).open(asked) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def answered(front):
    """Return how many files the front itself gave out."""
    _, _, text = ask(f"{front}/metrics")
    lines = [line for line in text.decode().splitlines() if 'hits_total{kind="npm"}' in line]
    return sum(float(line.split()[-1]) for line in lines)


def until(seen):
    deadline = time.monotonic() + 30
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def running(tmp_path):
    """A front that links its files, the file held and linked, nginx before it."""
    root = tmp_path / "root"
    with (
        upstream(tmp_path, BODY, seconds=0) as slow,
        Fronts(
            tmp_path, str(tmp_path / "depot"), slow.url, arguments=["--nginx-root", str(root)]
        ) as fronts,
        nginx(tmp_path / "nginx", _open(fronts.urls[0], root)) as peer,
    ):
        link = root / "open" / PATH[1:]
        until(lambda: ask(peer + PATH)[2] == BODY and link.is_symlink())
        yield fronts, peer, link


def test_a_held_file_is_sent_without_the_front(running):
    fronts, peer, _ = running
    before = answered(fronts.urls[0])
    status, headers, body = ask(peer + PATH)
    assert (status, body) == (200, BODY)
    assert "immutable" in headers["Cache-Control"]
    assert headers["Content-Type"] == "application/octet-stream"
    status, headers, body = ask(peer + PATH, {"Range": "bytes=5-9"})
    assert (status, body) == (206, BODY[5:10])
    status, headers, body = ask(peer + PATH, method="HEAD")
    assert (status, headers["Content-Length"], body) == (200, str(len(BODY)), b"")
    assert answered(fronts.urls[0]) == before
    ask(fronts.urls[0] + PATH)
    assert answered(fronts.urls[0]) == before + 1


def test_all_else_is_asked_of_the_front(running):
    _, peer, _ = running
    assert b'"versions"' in ask(f"{peer}/npm/big")[2]
    assert ask(f"{peer}/npm/big/-/")[0] == 404
    assert ask(f"{peer}/healthz")[0] == 200
    assert ask(f"{peer}/npm/../../../../etc/passwd")[0] in (400, 404)
    assert ask(peer + PATH, method="DELETE")[0] == 405
    assert ask(peer + PATH, {"Host": "elsewhere.example"})[0] == 421
    digest = hashlib.sha256(BODY).hexdigest()
    assert ask(f"{peer}/sha256/{digest}")[2] == BODY


def test_flipped_bits_are_not_served_once_they_are_seen(running):
    _, peer, link = running
    blob = link.resolve()
    blob.chmod(0o644)
    with blob.open("r+b") as file:
        file.seek(1000)
        file.write(bytes([BODY[1000] ^ 1]))
    until(lambda: not link.is_symlink())
    until(lambda: ask(peer + PATH)[2] == BODY)  # nginx's own second (open_file_cache_valid)
    for _ in range(5):
        assert ask(peer + PATH)[2] == BODY
    until(lambda: ask(peer + PATH)[2] == BODY and link.is_symlink())
    assert link.read_bytes() == BODY


def test_what_a_killed_front_left_is_gone_when_it_is_there_again(running):
    fronts, peer, link = running
    fronts.children[0].kill()
    fronts.children[0].wait()
    assert ask(peer + PATH)[2] == BODY
    assert ask(f"{peer}/npm/big")[0] == 502
    fronts.start(0)
    assert not link.is_symlink()


def test_a_front_that_is_stopped_leaves_none(running):
    fronts, _, link = running
    fronts.children[0].terminate()
    assert fronts.children[0].wait(20) == 0
    assert not link.is_symlink()


def test_nobody_gets_a_poisoned_file_whole(tmp_path):
    wrong, root = BODY[:-1] + bytes([BODY[-1] ^ 1]), tmp_path / "root"
    with (
        upstream(tmp_path, wrong, seconds=0.5, promised=BODY) as slow,
        Fronts(
            tmp_path, str(tmp_path / "depot"), slow.url, arguments=["--nginx-root", str(root)]
        ) as fronts,
        nginx(tmp_path / "nginx", _open(fronts.urls[0], root)) as peer,
    ):
        for _ in range(2):
            seen = crowd([peer + PATH], 20, BODY)
            assert not [one for one in seen if one.whole]
        assert not list(root.rglob("*.tgz"))


def test_with_tokens_nginx_asks_for_them(tmp_path):
    authority, root = trustme.CA(), tmp_path / "root"
    issued = authority.issue_cert("127.0.0.1")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_bytes(b"".join(one.bytes() for one in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    tokens = tmp_path / "front0" / "tokens"
    tokens.parent.mkdir()
    command = [sys.executable, "-m", "pyodide_offline", "mirror", "token"]
    added = subprocess.run(
        [*command, "add", "ci", "--tokens", tokens], capture_output=True, text=True, check=True
    )
    right = {"Authorization": f"Bearer {added.stdout.split()[-1]}"}
    with (
        upstream(tmp_path, BODY, seconds=0) as slow,
        Fronts(
            tmp_path, str(tmp_path / "depot"), slow.url, arguments=["--nginx-root", str(root)]
        ) as fronts,
        nginx(
            tmp_path / "nginx",
            example(
                "nginx-tokens.conf",
                {
                    FRONT: fronts.urls[0].removeprefix("http://"),
                    f"{ROOT}/tokens;": f"'{root}/tokens';",
                    "/run/pyodide-mirror-tokens ": f"'{tmp_path}/asked' ",
                    "listen 443 ssl;": "listen 127.0.0.1:PORT ssl;",
                    "listen 443 ssl default_server;": "listen 127.0.0.1:PORT ssl default_server;",
                    "/etc/nginx/mirror.pem": f"'{cert}'",
                    "/etc/nginx/mirror.key": f"'{key}'",
                    "mirror.example.com;": "127.0.0.1;",
                },
            ),
            tls=True,
        ) as peer,
    ):
        link = root / "tokens" / PATH[1:]
        until(lambda: ask(peer + PATH, right, authority=authority)[2] == BODY and link.is_symlink())
        assert not list((root / "open").rglob("*.tgz"))
        assert ask(peer + PATH, right, authority=authority)[2] == BODY
        for headers in ({}, {"Authorization": "Bearer no"}, {"Authorization": "Basic bm86bm8="}):
            status, answer, body = ask(peer + PATH, headers, authority=authority)
            assert (status, BODY[:100] in body) == (401, False)
            assert "Basic" in answer["WWW-Authenticate"]
        assert ask(f"{peer}/_token", right, authority=authority)[0] == 404
        assert ask(f"{peer}/readyz", authority=authority)[0] == 200
        subprocess.run([*command, "revoke", "ci", "--tokens", tokens], check=True)
        until(lambda: ask(peer + PATH, right, authority=authority)[0] == 401)
