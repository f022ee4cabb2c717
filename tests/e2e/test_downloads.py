"""Downloads through real proxies on loopback: `prefetch`, and plain http as registries have it.

The workerd is a stand-in that asks for a bundle at a TLS server of this test; the name of
that server is told to the proxies only.
"""

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest

from pyodide_offline import digest as digests
from pyodide_offline.errors import NetworkError
from pyodide_offline.network import fetch
from pyodide_offline.session import Session
from pyodide_offline.store import Store
from tests.conftest import Recorder
from tests.e2e.conftest import PROGRAM
from tests.e2e.conftest import Machine as RealMachine
from tests.peers import corporate, proxies, workerd
from tests.peers.authority import Authority
from tests.peers.proxies import PASSWORD, USER, Proxy
from tests.peers.registry import BLOCK_PAGE, Answer, Registry
from tests.peers.workerd import Setup
from tests.peers.wrangler import copy_example

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
WRONG = "wr0ng-h0rse"
ORIGIN = "pyodide-capnp-bin.edgeworker.net"
BUNDLE = bytes(range(256)) * 4000
NAME = "bundles.example.com"
_ID = "314.0.6_2026-08-17_11"
PATH = f"/pyodide_{_ID}.capnp.bin"


@contextmanager
def _secured(behind: AbstractContextManager[Proxy], authority: Authority) -> Iterator[Proxy]:
    with behind as plain, proxies.stunnel(plain, authority) as front:
        yield front


_PEERS: Mapping[str, Callable[[Authority], AbstractContextManager[Proxy]]] = {
    "squid": lambda _: proxies.squid(names=[NAME]),
    "squid, Basic": lambda _: proxies.squid(login="basic", names=[NAME]),
    "squid, Digest": lambda _: proxies.squid(login="digest", names=[NAME]),
    "stunnel, squid, Digest": lambda known: _secured(
        proxies.squid(login="digest", names=[NAME]), known
    ),
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("downloads") / "ca", NAME, "localhost")


@pytest.fixture(scope="module")
def running(authority: Authority) -> Iterator[Mapping[str, Proxy]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(make(authority)) for name, make in _PEERS.items()}


@pytest.fixture
def there(authority: Authority) -> Iterator[Registry]:
    with Registry(tls=authority.server()) as server:
        server.script(PATH, Answer(200, BUNDLE, {"ETag": '"v1"'}))
        yield server


class Machine:
    """A user whose workerd asks for ``BUNDLE`` (or another one) at ``there``."""

    def __init__(self, folder: Path, authority: Authority, there: Registry, host: str) -> None:
        self.folder = folder
        self.url = there.origin.replace("127.0.0.1", host)
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "SSL_CERT_FILE": str(authority.ca),
            "PYODIDE_OFFLINE_STORE_DIR": str(folder / "store"),
            "PYODIDE_OFFLINE_CACHE_DIR": str(folder / "cache"),
        }

    def prefetch(
        self, *options: str, wanted: bytes = BUNDLE, **variables: str
    ) -> "subprocess.CompletedProcess[str]":
        digest = digests.of_bytes(wanted).sri
        setup = Setup(id=_ID, digest=digest, url=f"{self.url}/pyodide_{{}}.capnp.bin")
        fake = workerd.make(self.folder / digest[-8:-2].replace("/", "_"), setup)
        command = [PROGRAM, "prefetch", "--workerd", str(fake.path), "--date", "2026-11-17"]
        return subprocess.run(
            [*command, "--bundle", "official", *options],
            env={**self.env, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=100,
            check=False,
        )

    def stored(self) -> list[Path]:
        return list((self.folder / "store").glob("v1/blobs/*/*/*"))

    def holds(self, *secrets: str) -> bool:
        """Say whether a file of the store or the cache folder holds one of these."""
        files = [one for one in (self.folder / "store").rglob("*") if one.is_file()]
        text = b"".join(one.read_bytes() for one in files if one.stat().st_size < 1 << 16)
        return any(secret.encode() in text for secret in secrets)


@pytest.fixture
def user(tmp_path: Path, authority: Authority, there: Registry) -> Machine:
    return Machine(tmp_path, authority, there, NAME)


@pytest.mark.parametrize("name", _PEERS)
def test_a_bundle_comes_through_each_proxy_and_nothing_shows_the_password(
    running: Mapping[str, Proxy], user: Machine, there: Registry, name: str
) -> None:
    peer = running[name]
    done = user.prefetch(HTTPS_PROXY=peer.with_login if "," in name else peer.url)
    assert done.returncode == 0, done.stdout
    assert [one.path for one in there.requests] == [PATH]
    assert [one.read_bytes() for one in user.stored()] == [BUNDLE]
    secret = PASSWORD.replace(":", "%3A")
    assert PASSWORD not in done.stdout
    assert secret not in done.stdout
    assert not user.holds(PASSWORD, secret)


def test_the_option_stands_in_for_the_variables(
    running: Mapping[str, Proxy], user: Machine
) -> None:
    down = f"http://127.0.0.1:{proxies.free_port()}"
    done = user.prefetch("--proxy", running["squid"].url, HTTPS_PROXY=down)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("make", [proxies.tinyproxy, proxies.microsocks])
def test_other_proxies(
    make: Callable[[], AbstractContextManager[Proxy]],
    tmp_path: Path,
    authority: Authority,
    there: Registry,
) -> None:
    user = Machine(tmp_path, authority, there, "localhost")
    with make() as peer:
        done = user.prefetch(ALL_PROXY=peer.url)
        assert done.returncode == 0, done.stdout
    again = user.prefetch(ALL_PROXY=peer.url)  # it is down now, and nobody asks it
    assert again.returncode == 0, again.stdout
    assert len(there.requests) == 1


def test_other_bytes_are_refused_with_both_digests_and_nothing_is_stored(
    running: Mapping[str, Proxy], user: Machine
) -> None:
    done = user.prefetch(wanted=b"the real one", HTTPS_PROXY=running["squid"].url)
    assert done.returncode == 5, done.stdout
    assert digests.of_bytes(b"the real one").sri in done.stdout
    assert digests.of_bytes(BUNDLE).sri in done.stdout
    assert user.stored() == []


def test_a_download_that_is_cut_goes_on_through_the_proxy(
    running: Mapping[str, Proxy], user: Machine, there: Registry
) -> None:
    said = {"Content-Range": f"bytes 300000-{len(BUNDLE) - 1}/{len(BUNDLE)}"}
    cut = Answer(200, BUNDLE, {"ETag": '"v1"'}, cut=300_000)
    there.script(PATH, cut, Answer(206, BUNDLE[300_000:], said))
    done = user.prefetch(HTTPS_PROXY=running["squid, Digest"].with_login)
    assert done.returncode == 0, done.stdout
    assert "trying again" in done.stdout
    assert there.requests[1].headers["range"] == "bytes=300000-"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Answer(200, BLOCK_PAGE, {"Content-Type": "text/html"}), "A web page came from"),
        (Answer(302, headers={"Location": "https://portal.example.org/"}), "perhaps a portal"),
        (Answer(404), "answered 404"),
    ],
)
def test_what_comes_in_place_of_a_bundle_is_said(
    running: Mapping[str, Proxy], user: Machine, there: Registry, answer: Answer, says: str
) -> None:
    there.script(PATH, answer)
    done = user.prefetch(HTTPS_PROXY=running["squid"].url)
    assert done.returncode == 3, done.stdout
    assert says in done.stdout
    assert len(there.requests) == 1
    assert user.stored() == []


@pytest.mark.parametrize("name", ["squid, Basic", "squid, Digest"])
def test_a_wrong_password_is_sent_once_and_not_shown(
    running: Mapping[str, Proxy], user: Machine, there: Registry, name: str
) -> None:
    done = user.prefetch(HTTPS_PROXY=running[name].login(USER, WRONG))
    assert done.returncode == 3, done.stdout
    assert "does not accept the user and password" in done.stdout
    assert "were sent once" in done.stdout
    assert "trying again" not in done.stdout
    assert WRONG not in done.stdout
    assert not user.holds(WRONG)
    assert there.requests == []


def test_a_certificate_that_nobody_here_vouches_for_is_said_at_once(
    running: Mapping[str, Proxy], user: Machine, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path / "stranger")
    done = user.prefetch(HTTPS_PROXY=running["squid"].url, SSL_CERT_FILE=str(stranger.ca))
    assert done.returncode == 3, done.stdout
    assert "Test Inspection CA" in done.stdout
    assert "--ca FILE" in done.stdout
    assert "trying again" not in done.stdout
    assert done.stdout.count("\n") <= 4


@pytest.mark.parametrize("login", ["", "basic", "digest"])
def test_plain_http_goes_through_a_proxy_as_squid_comes(tmp_path: Path, login: str) -> None:
    """Not by CONNECT: squid's own configuration lets that through to port 443 only."""
    store = Store(tmp_path / "store")
    with (
        Registry() as server,
        proxies.squid(login=login, names=["plain.example.com"]) as peer,  # type: ignore[arg-type]
    ):
        environ = {"http_proxy": peer.with_login if login else peer.url, "HOME": str(tmp_path)}
        session = Session(store, environ, tmp_path, tmp_path / "cache", progress=Recorder())
        server.script("/a", Answer(302, headers={"Location": "/b"}))
        server.script("/b", Answer(200, b"through"))
        url = server.origin.replace("127.0.0.1", "plain.example.com")
        assert fetch.read(session, f"{url}/a", max_bytes=10) == b"through"
        assert "CONNECT" not in peer.log.read_text(encoding="utf-8")
        if login:
            wrong = Session(
                store,
                {**environ, "http_proxy": peer.login(USER, WRONG)},
                tmp_path,
                tmp_path / "cache",
                progress=Recorder(),
            )
            with pytest.raises(NetworkError, match="does not accept the user") as caught:
                fetch.read(wrong, f"{url}/a", max_bytes=10)
            assert WRONG not in str(caught.value)


@pytest.mark.registry
@pytest.mark.timeout(400)
def test_real_workerds_without_dns_get_what_their_hash_allows(
    machine: RealMachine, prefetched: Path, counting_network: None, tmp_path: Path
) -> None:
    """The newest refuses an assembled bundle by its hash; 1.20260426.1 has none and takes it."""
    old = copy_example("starlette", tmp_path / "old", "2026-04-26")
    own = {**machine.env, "PYODIDE_OFFLINE_CACHE_DIR": str(tmp_path / "first cache")}
    command = [PROGRAM, "prefetch", "--wrangler", "4.86.0", "--bundle", "npm"]
    done = subprocess.run(command, cwd=old, env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (bundle,) = (tmp_path / "first cache").rglob("pyodide_*.capnp.bin")
    binaries = list(machine.home.rglob("workerd-linux-*/bin/workerd"))
    (hashless,) = [one for one in binaries if "4.86.0-" in str(one)]
    newest = next(one for one in binaries if "4.86.0-" not in str(one))

    def scene(binary: Path, date: str, name: str) -> corporate.Seen:
        folders = {
            "PYODIDE_OFFLINE_STORE_DIR": str(tmp_path / f"{name} store"),
            "PYODIDE_OFFLINE_CACHE_DIR": str(tmp_path / f"{name} cache"),
        }
        words = ["--workerd", str(binary), "--date", date, "--bundle", "official"]
        return corporate.play(
            [PROGRAM, "prefetch", *words],
            host=ORIGIN,
            file=bundle,
            folder=tmp_path / name,
            cwd=tmp_path,
            env={**machine.env, **folders},
            port=0,
            paths=[],
        )

    taken = scene(hashless, "2026-04-26", "hashless")
    assert taken.status == 0, taken.output
    assert [ORIGIN, 443] in taken.connects
    (stored,) = (tmp_path / "hashless store").glob("v1/blobs/*/*/*")
    assert stored.read_bytes() == bundle.read_bytes()

    refused = scene(newest, "2026-11-17", "newest")
    assert refused.status == 5, refused.output
    assert digests.of_file(bundle).sri in refused.output
    assert list((tmp_path / "newest store").glob("v1/blobs/*/*/*")) == []
    for seen in (taken, refused):
        assert corporate.LOGIN.partition(":")[2] not in seen.output
