"""Everything that can go wrong between `prefetch` and the bundle's server, as a person meets it.

The proxies follow a script; real ones are in tests/e2e/test_downloads.py.
"""

import base64
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from pyodide_offline import digest as digests
from pyodide_offline.cli import boundary
from pyodide_offline.network import fetch
from pyodide_offline.workers.toolchain import node
from tests.peers import proxies, pyodide, workerd
from tests.peers.authority import Issuer
from tests.peers.registry import BLOCK_PAGE, Answer, Registry
from tests.peers.scripted import Scripted
from tests.peers.tunnelling import Proxy
from tests.peers.workerd import Setup

NAME = "bundles.example.test"
BUNDLE = b"the official bundle"
USER, PASSWORD = "joe", "s3cret:horse"
ENCODED = "s3cret%3Ahorse"
_SECRETS = (PASSWORD, ENCODED, base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode())
_FILE = "/pyodide_314.0.6_2026-08-17_11.capnp.bin"
_WANTS = b"HTTP/1.1 407 Login\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n"
_PAGE = b"Content-Type: text/html\r\nContent-Length: %d\r\n\r\n%s" % (len(BLOCK_PAGE), BLOCK_PAGE)


@dataclass(frozen=True)
class Ended:
    """What a person sees: the exit status, the notes on the way, the error's own lines."""

    status: object
    notes: list[str]
    error: list[str]
    output: str


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("faults") / "ca", NAME)


@pytest.fixture
def prefetch(
    tmp_path: Path,
    issuer: Issuer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., Ended]:
    """Run `prefetch` through the proxy at a port, whose login is USER and PASSWORD."""
    monkeypatch.setattr(fetch, "PAUSES", (0.0, 0.0))
    monkeypatch.setenv("PYODIDE_OFFLINE_STORE_DIR", str(tmp_path / "store"))
    monkeypatch.setenv("PYODIDE_OFFLINE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("SSL_CERT_FILE", str(issuer.ca))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(tmp_path)

    def run(port: int, *, policy: str = "official", hashed: bool = True, host: str = NAME) -> Ended:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{USER}:{ENCODED}@127.0.0.1:{port}")
        digest = digests.of_bytes(BUNDLE).sri if hashed else None
        setup = Setup(digest=digest, url=f"https://{host}/pyodide_{{}}.capnp.bin")
        fake = workerd.make(tmp_path / "w", setup)
        with pytest.raises(SystemExit) as caught:
            boundary.guarded(["prefetch", "--workerd", str(fake.path), "--bundle", policy])
        out, err = capsys.readouterr()
        lines = err.splitlines()
        begin = next((n for n, line in enumerate(lines) if line.startswith("error[")), len(lines))
        return Ended(caught.value.code, lines[:begin], lines[begin:], out + err)

    return run


@dataclass(frozen=True)
class Fault:
    """One, made by ``peer``: the error ``says`` this, and its last line begins with ``step``.

    ``tries`` are made, more than one of what may pass; ``patience`` is in seconds.
    """

    peer: Callable[[Issuer], "AbstractContextManager[Asked]"]
    says: str
    step: str
    tries: int = 1
    status: int = 3
    patience: float | None = None
    host: str = NAME


@dataclass(frozen=True)
class Asked:
    """Where the proxy is; ``heads`` are the requests to one that follows a script."""

    port: int
    heads: list[bytes]


def _scripted(
    *answers: bytes, hold: bool = False
) -> Callable[[Issuer], AbstractContextManager[Asked]]:
    @contextmanager
    def running(_: Issuer) -> Iterator[Asked]:
        with Scripted(*answers, hold=hold) as peer:
            yield Asked(peer.port, peer.heads)

    return running


@contextmanager
def _down(_: Issuer) -> Iterator[Asked]:
    yield Asked(proxies.free_port(), [])


def _behind(
    *answers: Answer, name: str = "", expired: bool = False, stranger: bool = False
) -> Callable[[Issuer], AbstractContextManager[Asked]]:
    """Return an origin with TLS behind a proxy that works, with a login."""

    @contextmanager
    def running(issuer: Issuer) -> Iterator[Asked]:
        other = Issuer(issuer.ca.parent / os.urandom(4).hex(), NAME) if stranger else issuer
        names = (name,) if name else ()
        with ExitStack() as stack:
            server = Registry(tls=other.server(*names, expired=expired))
            origin = stack.enter_context(server)
            origin.script(_FILE, *(answers or (Answer(200, BUNDLE),)))
            port = int(origin.origin.rpartition(":")[2])
            table = {(NAME, 443): ("127.0.0.1", port)}
            peer = stack.enter_context(Proxy(table, f"{USER}:{PASSWORD}"))
            yield Asked(peer.port, [])

    return running


_ASK = "Ask who runs the proxy, or check HTTPS_PROXY and NO_PROXY."
_LATER = "Try again later, or check the host's name, HTTPS_PROXY and NO_PROXY."
_CHECK = "Check HTTPS_PROXY and NO_PROXY."
FAULTS = {
    "proxy down": Fault(_down, "refuses the connection", _CHECK, 3),
    "wrong password": Fault(
        _scripted(_WANTS, _WANTS, _WANTS), "does not accept the user and password", "Correct them"
    ),
    "wrong password, connection closed": Fault(
        _scripted(_WANTS.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")),
        "does not accept the user and password",
        "Correct them",
    ),
    "407 with unknown schemes": Fault(
        _scripted(_WANTS.replace(b"Basic", b"Bearer")),
        "of a kind that cannot be given",
        "Ask who runs",
    ),
    "407 without a scheme": Fault(
        _scripted(b"HTTP/1.1 407 Login\r\nContent-Length: 0\r\n\r\n"),
        "no scheme at all",
        "Ask who runs",
    ),
    "403": Fault(_scripted(b"HTTP/1.1 403 Forbidden\r\n" + _PAGE), "403 Forbidden", _ASK),
    "502": Fault(_scripted(b"HTTP/1.1 502 Bad\r\n" + _PAGE), "502 Bad", _LATER, 3),
    "502, and no resolver either": Fault(  # it is asked for a name that is not a private one
        _scripted(b"HTTP/1.1 502 Bad\r\n" + _PAGE), "502 Bad", _LATER, 3, host="bundles.example.com"
    ),
    "504": Fault(_scripted(b"HTTP/1.1 504 Late\r\n" + _PAGE), "504 Late", _LATER, 3),
    "garbage": Fault(_scripted(b"\x15\x03\x01\x00\x02\x02\x46\r\n\r\n"), "is not HTTP", _ASK),
    "closes early": Fault(_scripted(b""), "without an answer", _ASK),
    "closes in the head": Fault(_scripted(b"HTTP/1.1 200 O"), "is not HTTP", _ASK),
    "never answers": Fault(_scripted(b"", hold=True), "but never answers", _CHECK, 3, patience=0.3),
    "never answers, after the tunnel": Fault(
        _scripted(b"HTTP/1.1 200 OK\r\n\r\n", hold=True),
        "but never answers",
        "Try again",
        3,
        patience=0.3,
    ),
    "closes after the tunnel": Fault(
        _scripted(b"HTTP/1.1 200 OK\r\n\r\n"), "ends in the middle", "Try again", 3
    ),
    "200 with a page": Fault(_scripted(b"HTTP/1.1 200 OK\r\n" + _PAGE), "web page in place", _ASK),
    "200 with a body": Fault(
        _scripted(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), "is not TLS", _ASK
    ),
    "redirect of the proxy": Fault(
        _scripted(b"HTTP/1.1 302 Found\r\nLocation: http://portal.example.org/?a=b\r\n" + _PAGE),
        "portal that wants a login",
        _ASK,
    ),
    "redirect to another host": Fault(
        _behind(Answer(302, headers={"Location": "https://portal.example.org/"})),
        "redirects to https://portal.example.org/",
        "If the file does belong there",
    ),
    "block page": Fault(
        _behind(Answer(200, BLOCK_PAGE, {"Content-Type": "text/html"})),
        "A web page came from",
        "Open the address",
    ),
    "block page that does not say so": Fault(
        _behind(Answer(200, BLOCK_PAGE)), "A web page came from", "Open the address"
    ),
    "404": Fault(_behind(Answer(404)), "answered 404", "Bring "),
    "503": Fault(_behind(Answer(503)), "answered 503", "Bring ", 3),
    "expired": Fault(_behind(expired=True), "has expired", "If the clock is right"),
    "other name": Fault(
        _behind(name="elsewhere.example.test"), "for another name: elsewhere", "Check the address"
    ),
    "unknown CA": Fault(_behind(stranger=True), "not trusted", "If you trust who inspects TLS"),
    "wrong bytes": Fault(_behind(Answer(200, b"something else")), "is ", "A proxy", status=5),
}


@pytest.mark.parametrize("hashed", [True, False], ids=["hash", "no hash"])
@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_one_clear_error_and_leaves_nothing(
    name: str,
    hashed: bool,
    prefetch: Callable[..., Ended],
    issuer: Issuer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fault = FAULTS[name]
    if fault.patience:
        monkeypatch.setattr(fetch, "CONNECT_TIMEOUT", fault.patience)
    with fault.peer(issuer) as peer:
        done = prefetch(peer.port, hashed=hashed, host=fault.host)
    assert done.status == fault.status, done.output
    assert 1 <= len(done.error) <= 3, done.output
    assert fault.says in " ".join(done.error)
    assert done.error[-1].strip().startswith(fault.step)
    assert sum("trying again" in note for note in done.notes) == fault.tries - 1, done.output
    proved = sum(b"Proxy-Authorization" in head for head in peer.heads)
    assert proved == name.startswith("wrong password")  # once, and nowhere else
    _nothing_of(done, tmp_path)


def _nothing_of(done: Ended, folder: Path) -> None:
    """Check that no password shows, and that nothing was stored."""
    for secret in _SECRETS:
        assert secret not in done.output
    files = [one for one in folder.rglob("*") if one.is_file()]
    assert not [one for one in files if any(s.encode() in one.read_bytes() for s in _SECRETS)]
    for pattern in ("blobs/*/*/*", "refs/*/*", "tmp/*", "trees/*/*"):
        assert list((folder / "store" / "v1").glob(pattern)) == []
    assert list(folder.glob("cache/*")) == []


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("403", "403 Forbidden"),
        ("proxy down", "refuses the connection"),
        ("wrong password", "does not accept the user and password"),
        ("wrong bytes", "is not the file that it must be"),
        ("block page that does not say so", "A web page came from"),
        ("unknown CA", "is not trusted"),
    ],
)
def test_where_it_may_be_made_from_npm_one_line_says_why_and_it_is(
    fault: str,
    says: str,
    prefetch: Callable[..., Ended],
    issuer: Issuer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(node, "provide", lambda *_: SimpleNamespace(npm=None))
    tarball = pyodide.tarball(tmp_path / "pyodide.tgz").read_bytes()
    with FAULTS[fault].peer(issuer) as peer, Registry() as registry:
        monkeypatch.setenv("npm_config_registry", registry.url)
        registry.add("pyodide", "314.0.6", tarball=tarball)
        done = prefetch(peer.port, policy="auto")
    assert done.status == 0, done.output
    assert "assembled from npm" in done.output
    said = [note for note in done.notes if "The official bundle cannot be had" in note]
    assert len(said) == 1, done.output
    assert says in said[0]
    assert registry.paths() == ["/pyodide/314.0.6", "/pyodide/-/pyodide-314.0.6.tgz"]
    for secret in _SECRETS:
        assert secret not in done.output
    assert list((tmp_path / "store" / "v1").glob("tmp/*")) == []
