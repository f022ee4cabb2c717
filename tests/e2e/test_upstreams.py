"""Where a proxy and its login come from, as a user has them: the program through squid."""

import os
import pty
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.e2e.conftest import PROGRAM, Machine
from tests.peers import proxies, resolvers
from tests.peers.authority import Authority
from tests.peers.proxies import PASSWORD, USER, Proxy
from tests.peers.resolvers import ADDRESS4, ADDRESS6

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
WWW = "www.example.test"
FOUND = f"{ADDRESS4}\t{WWW}\n{ADDRESS6}\t{WWW}\n"
_FOREIGN = ("npm_config_", "pip_", "pyodide_offline_")
# A keyring of one entry, as a backend that keyring loads by its name.
_BACKEND = """
import os
from keyring.backend import KeyringBackend

class Keys(KeyringBackend):
    priority = 1

    def set_password(self, service, username, password):
        raise NotImplementedError

    def get_password(self, service, username):
        known = os.environ["TEST_KEYRING"].split("|")
        return known[2] if [service, username] == known[:2] else None

    def get_credential(self, service, username):
        from keyring.credentials import SimpleCredential

        known = os.environ["TEST_KEYRING"].split("|")
        return SimpleCredential(*known[1:]) if service == known[0] else None
"""


@dataclass(frozen=True)
class Scene:
    """squid with a login in front of unbound, and a user without any setting."""

    proxy: Proxy
    command: list[str]
    env: dict[str, str]
    home: Path

    def resolve(self, *more: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*self.command, *more],
            cwd=self.home,
            env={**self.env, **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )

    def netrc(self) -> None:
        file = self.home / ".netrc"
        file.write_text(f"machine 127.0.0.1 login {USER} password {PASSWORD}\n", encoding="utf-8")
        file.chmod(0o600)

    @property
    def connects(self) -> int:
        return self.proxy.log.read_text(encoding="utf-8").count(f" {USER} HIER_DIRECT")


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Proxy, list[str], str]]:
    folder = tmp_path_factory.mktemp("upstreams")
    absent = [one for one in ("squid", "unbound") if not proxies.program(one)]
    if not os.environ.get("CI") and absent:
        pytest.skip(f"not installed: {', '.join(absent)}")
    authority = Authority(folder / "ca", "dns.test")
    with ExitStack() as stack:
        proxy = stack.enter_context(proxies.squid(login="basic"))
        server = stack.enter_context(resolvers.running("unbound", folder / "unbound", authority))
        how = ["resolve", "--hosts", "--policy", "secure", "--resolver", server.url(), WWW]
        yield proxy, [PROGRAM, *how], str(authority.ca)


@pytest.fixture
def scene(started: tuple[Proxy, list[str], str], machine: Machine, tmp_path: Path) -> Scene:
    proxy, command, ca = started
    home = tmp_path / "a home"
    home.mkdir()
    kept = {
        key: value
        for key, value in machine.env.items()
        if not key.lower().startswith(_FOREIGN) and not key.lower().endswith("_proxy")
    }
    own = {
        "HOME": str(home),
        "PYODIDE_OFFLINE_STORE_DIR": str(tmp_path / "store"),
        "SSL_CERT_FILE": ca,
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
    }
    return Scene(proxy, command, {**kept, **own}, home)


def test_npms_and_pips_settings_name_it(scene: Scene) -> None:
    before = scene.connects
    (scene.home / ".npmrc").write_text(f"https-proxy={scene.proxy.with_login}\n")
    assert scene.resolve().stdout == FOUND
    assert scene.connects == before + 1
    (scene.home / ".npmrc").write_text("https-proxy=null\n")
    store = str(scene.home / "another store")
    done = scene.resolve(PIP_PROXY=scene.proxy.with_login, PYODIDE_OFFLINE_STORE_DIR=store)
    assert done.stdout == FOUND
    assert scene.connects == before + 2


def test_an_error_says_which_setting_names_it(scene: Scene) -> None:
    (scene.home / ".npmrc").write_text(f"proxy=http://joe:hunter2@127.0.0.1:{_closed()}\n")
    done = scene.resolve()
    assert done.returncode == 3
    assert f"proxy in {scene.home / '.npmrc'} names it." in done.stderr
    assert "hunter2" not in done.stderr


@pytest.fixture
def served(scene: Scene) -> Iterator[Callable[[str], str]]:
    """Serve a PAC file; returns its URL."""
    script = {"text": ""}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = script["text"].encode("cp1252")
            self.send_response(200)
            self.send_header("Content-Type", "application/x-ns-proxy-autoconfig")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    def serve(text: str) -> str:
        script["text"] = text
        return f"http://127.0.0.1:{server.server_port}/proxy.pac"

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield serve
        server.shutdown()
    thread.join(5)


def test_a_pac_file_names_it_and_the_next_one_after_one_that_is_down(
    scene: Scene, served: Callable[[str], str]
) -> None:
    url = served(f"""
    // für alle
    function FindProxyForURL(url, host) {{
      if (shExpMatch(host, "*.test") && url.substring(0, 6) == "https:")
        return "PROXY 127.0.0.1:{_closed()}; PROXY 127.0.0.1:{scene.proxy.port}";
      return "DIRECT";
    }}""")
    variables = {"PYODIDE_OFFLINE_PROXY_USER": USER, "PYODIDE_OFFLINE_PROXY_PASSWORD": PASSWORD}
    before = scene.connects
    done = scene.resolve("--pac", url, **variables)
    assert done.returncode == 3  # the user did not name that proxy: it is not told
    assert "wants a login" in done.stderr
    scene.netrc()
    done = scene.resolve(PYODIDE_OFFLINE_PAC=url)
    assert done.stdout == FOUND, done.stderr
    assert scene.connects == before + 1


def test_without_the_pac_files_server_the_variables_count(scene: Scene) -> None:
    gone = f"http://127.0.0.1:{_closed()}/proxy.pac"
    before = scene.connects
    done = scene.resolve("--pac", gone, HTTPS_PROXY=scene.proxy.with_login)
    assert done.stdout == FOUND
    assert done.stderr.count("the PAC file is not there") == 1
    assert scene.connects == before + 1


def test_a_login_from_the_keyring(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "kept_keys.py").write_text(_BACKEND, encoding="utf-8")
    before = scene.connects
    done = scene.resolve(
        HTTPS_PROXY=scene.proxy.url,
        PYTHONPATH=str(tmp_path),
        PYTHON_KEYRING_BACKEND="kept_keys.Keys",
        TEST_KEYRING=f"127.0.0.1:{scene.proxy.port}|{USER}|{PASSWORD}",
    )
    assert done.stdout == FOUND, done.stderr
    assert scene.connects == before + 1


def test_a_person_is_asked_once_and_the_password_is_not_shown(scene: Scene) -> None:
    environ = {**scene.env, "HTTPS_PROXY": scene.proxy.url}
    environ.pop("CI", None)
    status, shown = _typed(scene, environ, ("User", USER), (f"Password of {USER}", PASSWORD))
    assert status == 0, shown
    assert f"The proxy {scene.proxy.url} wants a login (HTTPS_PROXY names it)." in shown
    assert shown.count("Password") == 1
    assert f"{ADDRESS4}\t{WWW}" in shown
    assert PASSWORD not in shown
    for file in (scene.home.parent / "store").rglob("*"):
        assert not file.is_file() or PASSWORD.encode() not in file.read_bytes()


def test_nobody_is_asked_without_a_terminal(scene: Scene) -> None:
    done = scene.resolve(HTTPS_PROXY=scene.proxy.url)
    assert done.returncode == 3
    assert "no user is known for it" in done.stderr
    assert "Password" not in done.stderr


def _closed() -> int:
    return proxies.free_port()


def _typed(scene: Scene, environ: dict[str, str], *answers: tuple[str, str]) -> tuple[int, str]:
    """Run the command at a terminal; wait for each question, type its answer."""
    here, there = pty.openpty()
    child = subprocess.Popen(
        ["setsid", "--ctty", "--wait", *scene.command],
        cwd=scene.home,
        env=environ,
        stdin=there,
        stdout=there,
        stderr=there,
    )
    os.close(there)
    shown, waiting = "", list(answers)
    with suppress(OSError):  # the end of a terminal, as Linux tells it
        while data := os.read(here, 4096):
            shown += data.decode()
            if waiting and f"{waiting[0][0]}:" in shown:
                os.write(here, f"{waiting.pop(0)[1]}\n".encode())
    os.close(here)
    return child.wait(30), shown
