"""What workers fetch goes through the proxy that is named, with its login and our trust.

The proxy is squid, which wants a login by Digest and alone knows the names of the sites.
"""

import hashlib
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from pyodide_offline.pytest_plugin.server import Server
from tests.e2e.conftest import PROGRAM, Machine
from tests.peers import proxies, vendored
from tests.peers.authority import Authority
from tests.peers.interception import mitmproxy
from tests.peers.proxies import GREETING, PASSWORD, Proxy
from tests.peers.website import Website, content, digest, website
from tests.peers.wrangler import started

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

RUN = [PROGRAM, "run", "--offline", "--", "wrangler", "dev"]
WORKERS = Path(__file__).parent / "workers"
NAME, OTHER = "site.test", "other.test"
LARGE = 50_000_000


@dataclass(frozen=True)
class Scene:
    """The proxy, and the sites that it leads to by NAME; ``there`` answers whatever comes."""

    proxy: Proxy
    plain: Website
    secure: Website
    there: int
    authority: Authority
    env: dict[str, str]

    def url(self, path: str, host: str = NAME, *, tls: bool = True) -> str:
        port = self.secure.port if tls else self.plain.port
        return f"{'https' if tls else 'http'}://{host}:{port}{path}"

    def through(self) -> str:
        """Return what the proxy has let through so far, its log written."""
        return self.proxy.log.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def scene(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    if not proxies.program("squid"):
        pytest.skip("squid is not installed")
    authority = Authority(tmp_path_factory.mktemp("trust") / "ca", NAME)
    with ExitStack() as stack:
        proxy = stack.enter_context(proxies.squid(login="digest", names=[NAME, OTHER]))
        plain = stack.enter_context(website())
        secure = stack.enter_context(website(authority.server()))
        there = stack.enter_context(proxies.origin())
        env = {
            **machine.env,
            "HTTP_PROXY": proxy.with_login,
            "HTTPS_PROXY": proxy.with_login,
            "SSL_CERT_FILE": str(authority.ca),
        }
        for name in ("http_proxy", "https_proxy", "no_proxy", "NO_PROXY"):
            env.pop(name, None)
        yield Scene(proxy, plain, secure, there, authority, env)


@pytest.fixture(scope="module")
def worker(
    scene: Scene, prefetched: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("fetching")
    shutil.copytree(WORKERS / "fetching", folder / "a worker")
    with started(RUN, folder / "a worker", env=scene.env, log=folder / "log") as server:
        yield server


def way(name: str, to: str) -> str:
    return f"/{name}?to={quote(to, safe='')}"


def raw(server: Server, path: str, body: bytes | None = None) -> tuple[HTTPResponse, bytes]:
    """Return an answer as it is, redirects too, and its body."""
    with closing(HTTPConnection(urlsplit(server.url).netloc, timeout=120)) as connection:
        connection.request("GET" if body is None else "POST", path, body)
        answer = connection.getresponse()
        return answer, answer.read()


def until(so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("tls", [True, False], ids=["https", "http"])
def test_a_page_by_name_with_the_proxys_login(worker: Server, scene: Scene, tls: bool) -> None:
    port = (scene.secure if tls else scene.plain).port
    url = scene.url("/a%20page?q=1", tls=tls)
    assert worker.get(way("pass", url)) == f"page /a%20page of {NAME}:{port} {{'q': ['1']}}"
    _, path, headers = (scene.secure if tls else scene.plain).asked[-1]
    assert path == "/a%20page?q=1"
    assert headers["CF-Worker"] == "fetching.example.com"
    assert headers["Proxy-Authorization"] is None
    assert f"CONNECT {NAME}:{port} " in scene.through()


def test_megabytes_both_ways(worker: Server, scene: Scene) -> None:
    answer, got = raw(worker, way("pass", scene.url("/up")), b"".join(content(LARGE)))
    assert answer.getheader("X-Digest") == digest(LARGE)
    assert hashlib.sha256(got).hexdigest() == digest(LARGE)


def test_a_redirect_as_it_came(worker: Server, scene: Scene) -> None:
    answer, _ = raw(worker, way("pass", scene.url("/redirect")))
    assert (answer.status, answer.getheader("Location")) == (302, "/elsewhere?x=1")
    assert answer.headers.get_all("Set-Cookie") == ["a=1", "b=2"]


def test_events_come_one_by_one(worker: Server, scene: Scene) -> None:
    with closing(HTTPConnection(urlsplit(worker.url).netloc, timeout=60)) as connection:
        connection.request("GET", way("pass", scene.url("/events")))
        answer = connection.getresponse()
        assert answer.readline() == b"data: first\n"
        assert worker.get(way("pass", scene.url("/told"))) == "thanks"
        assert answer.read() == b"\ndata: second\n\n"


@pytest.mark.parametrize("tls", [True, False], ids=["https", "http"])
def test_a_websocket(worker: Server, scene: Scene, tls: bool) -> None:
    assert worker.get(way("websocket", scene.url("/ws", tls=tls))) == "HELLO"


def test_a_socket(worker: Server, scene: Scene) -> None:
    assert worker.get(way("socket", f"{NAME}:{scene.there}")) == f"{GREETING.decode()}over tcp"


def test_this_machines_own_servers_are_reached_without_the_proxy(
    worker: Server, scene: Scene
) -> None:
    url = scene.url("/near", "127.0.0.1", tls=False)
    assert worker.get(way("pass", url)).startswith("page /near of 127.0.0.1")
    assert f"127.0.0.1:{scene.plain.port}" not in scene.through()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://nowhere.test/", "does not let nowhere.test:443 through"),
        ("https://other.test:{port}/", "for another name"),
        ("http://127.0.0.1:{blocked}/", "127.0.0.1:{blocked} refuses the connection"),
    ],
)
def test_what_fails_fails_as_without_us_and_the_reason_is_said(
    worker: Server, scene: Scene, url: str, said: str
) -> None:
    more = {"port": scene.secure.port, "blocked": proxies.free_port()}
    answer = worker.fetch(way("pass", url.format(**more)))
    assert (answer.status, answer.text) == (500, "Error: Network connection lost.")
    assert said.format(**more) in worker.log
    assert PASSWORD not in worker.log
    assert quote(PASSWORD) not in worker.log


def test_a_socket_that_cannot_be_had(worker: Server, scene: Scene) -> None:
    answer = worker.fetch(way("socket", "nowhere.test:5432"))
    assert answer.status == 500
    assert "cannot connect to the specified address" in answer.text
    assert "nowhere.test:5432" in worker.log


def test_no_proxy_is_respected_and_an_edit_is_seen(
    scene: Scene, prefetched: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "a worker"
    shutil.copytree(WORKERS / "fetching", folder)
    env = {**scene.env, "NO_PROXY": f".{NAME}"}
    with started(RUN, folder, env=env, log=tmp_path / "log") as server:
        answer = server.fetch(way("pass", scene.url("/", f"direct.{NAME}", tls=False)))
        # Nobody but the proxy knows the name.
        assert answer.status == 500
        assert f"direct.{NAME}:{scene.plain.port} is not found" in server.log
        assert server.get(way("pass", scene.url("/", OTHER, tls=False))).startswith("page / of")
        source = folder / "index.js"
        source.write_text(source.read_text().replace("fetching v1", "fetching v2"))
        until(lambda: server.get("/") == "fetching v2")
        assert server.get(way("pass", scene.url("/", OTHER, tls=False))).startswith("page / of")


def test_plain_http_where_connect_is_for_443_alone(
    scene: Scene, prefetched: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "a worker"
    shutil.copytree(WORKERS / "fetching", folder)
    with proxies.squid(login="digest", names=[NAME], only_443=True) as proxy:
        env = {**scene.env, "HTTP_PROXY": proxy.with_login, "HTTPS_PROXY": proxy.with_login}
        with started(RUN, folder, env=env, log=tmp_path / "log") as server:
            for _ in range(2):
                url = scene.url("/a?b", tls=False)
                assert server.get(way("pass", url)).startswith(f"page /a of {NAME}")
                answer, got = raw(server, way("pass", url), b"".join(content(5_000_000)))
                assert answer.getheader("X-Digest") == digest(5_000_000)
                assert hashlib.sha256(got).hexdigest() == digest(5_000_000)
            assert "fetch failed" not in server.log
            _, _, headers = scene.plain.asked[-1]
            assert headers["Proxy-Authorization"] is None


def test_through_what_opens_tls_once_its_ca_is_named(
    scene: Scene, prefetched: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "a worker"
    shutil.copytree(WORKERS / "fetching", folder)
    names = {(NAME, scene.secure.port): ("127.0.0.1", scene.secure.port)}
    with mitmproxy(names, scene.authority.ca) as proxy:
        env = {**scene.env, "HTTP_PROXY": proxy.url, "HTTPS_PROXY": proxy.url}
        del env["SSL_CERT_FILE"]
        with started(RUN, folder, env=env, log=tmp_path / "log") as server:
            answer = server.fetch(way("pass", scene.url("/inside")))
            assert (answer.status, answer.text) == (500, "Error: Network connection lost.")
            assert "mitmproxy" in server.log
        command = [*RUN[:2], "--ca", str(proxy.ca), *RUN[2:]]
        with started(command, folder, env=env, log=tmp_path / "second log") as server:
            page = server.get(way("pass", scene.url("/inside")))
            assert page == f"page /inside of {NAME}:{scene.secure.port}"


def test_a_python_worker_in_each_way_that_it_has(
    scene: Scene, machine: Machine, tmp_path: Path
) -> None:
    packages = vendored.synced(
        tmp_path / "packages", ["starlette", "urllib3"], PROGRAM, machine.env
    )
    folder = tmp_path / "a worker"
    shutil.copytree(WORKERS / "fetching_python", folder)
    shutil.copytree(packages, folder / "python_modules")
    with started(RUN, folder, env=scene.env, log=tmp_path / "log") as server:
        for name in ("workers", "pyodide"):
            assert server.get(way(name, scene.url(f"/{name}"))).startswith(
                f"page /{name} of {NAME}"
            )
        wanted = hashlib.sha256(b"by urllib3").hexdigest()
        assert server.get(way("urllib3", scene.url("/urllib3"))) == wanted
