"""Behind a proxy that opens TLS: mitmproxy is named, and believed once its CA is.

And a CA that only --ca names, believed by each real program that a worker needs.
"""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.e2e.conftest import PROGRAM, Machine
from tests.peers import believing
from tests.peers.authority import Issuer
from tests.peers.doh import Server, as_json
from tests.peers.interception import mitmproxy
from tests.peers.proxies import free_port
from tests.peers.wrangler import copy_example

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ORIGIN, FAR = "pyodide-capnp-bin.edgeworker.net", "far.test"
_TRUST = {"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT"}
_TRUST |= {"NODE_EXTRA_CA_CERTS"}


@contextmanager
def origin(authority: Issuer, bundle: bytes = b"") -> Iterator[tuple[int, list[str]]]:
    """A TLS server that is a registry, an index and where bundles come from; its port."""
    asked: list[str] = []
    dist = {"tarball": "https://localhost/x.tgz", "shasum": "0" * 40}
    version = {"name": "x", "version": "1.0.0", "dist": dist}
    package = {"name": "x", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            kind, body = "application/json", json.dumps(package).encode()
            if self.path.startswith("/simple"):
                kind, body = "text/html", b"<a href='x-1-py3-none-any.whl'>x-1-py3-none-any.whl</a>"
            if self.path.endswith(".whl"):
                kind, body = "application/octet-stream", wheel()
            if self.path.endswith(".bin"):
                kind, body = "application/octet-stream", bundle
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass  # those who do not believe the certificate go away

    server = Quiet(("127.0.0.1", 0), Handler)
    server.socket = authority.server().wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server.server_port, asked
    server.shutdown()
    server.server_close()


def wheel() -> bytes:
    """The smallest wheel that pip and uv take."""
    import io
    import zipfile

    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        info = "x-1.dist-info"
        archive.writestr("x.py", "")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: x\nVersion: 1\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(
            f"{info}/RECORD", f"x.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n"
        )
    return held.getvalue()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("origin") / "ca", ORIGIN, FAR, "localhost", "dns.test")


@pytest.fixture(scope="module")
def old(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A workerd that carries no digests (wrangler 4.86.0), and a bundle that it takes."""
    folder = tmp_path_factory.mktemp("old")
    project = copy_example("starlette", folder / "a project", "2026-04-26")
    done = subprocess.run(
        [PROGRAM, "prefetch", "--wrangler", "4.86.0", "--bundle", "npm"],
        cwd=project,
        env={**machine.env, "PYODIDE_OFFLINE_CACHE_DIR": str(folder / "cache")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (bundle,) = (folder / "cache").rglob("pyodide_*.capnp.bin")
    return workerd(machine, "4.86.0"), bundle


def workerd(machine: Machine, version: str) -> Path:
    (found,) = machine.home.rglob(f"wrangler/{version}-*/**/workerd-linux-*/bin/workerd")
    return found


def plain(machine: Machine, **more: str) -> dict[str, str]:
    """The user's environment, with no CA named and no proxy."""
    kept = {
        key: value
        for key, value in machine.env.items()
        if key not in _TRUST and not key.lower().endswith("_proxy")
    }
    return {**kept, **more}


def called(
    *arguments: object, env: dict[str, str], cwd: Path
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [PROGRAM, *map(str, arguments)],
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )


def test_prefetch_names_the_interceptor_and_works_with_its_ca(
    machine: Machine, old: tuple[Path, Path], authority: Issuer, tmp_path: Path
) -> None:
    binary, bundle = old
    with (
        origin(authority, bundle.read_bytes()) as (port, asked),
        mitmproxy({(ORIGIN, 443): ("127.0.0.1", port)}, authority.ca) as proxy,
    ):
        own = {"PYODIDE_OFFLINE_CACHE_DIR": str(tmp_path / "cache")}
        own["PYODIDE_OFFLINE_STORE_DIR"] = str(tmp_path / "store")
        env = plain(machine, HTTPS_PROXY=proxy.url, **own)
        command = ["prefetch", "--workerd", binary, "--date", "2026-04-26", "--bundle", "official"]
        refused = called(*command, env=env, cwd=tmp_path)
        assert refused.returncode == 3, refused.stderr
        assert f'{ORIGIN} is not trusted: its issuer, "mitmproxy", is not known' in refused.stderr
        assert "mitmproxy inspects TLS on this network." in refused.stderr
        assert "--ca FILE" in refused.stderr
        assert asked == []
        # What was only seen is not kept (a file of the machine's own settings may be).
        seen = proxy.ca.read_text().splitlines()[3]
        assert not [one for one in (tmp_path / "store").rglob("*.pem") if seen in one.read_text()]
        taken = called(*command, "--ca", proxy.ca, env=env, cwd=tmp_path)
        assert taken.returncode == 0, taken.stderr
        assert [path for path in asked if path.endswith(".capnp.bin")], asked
        (stored,) = (tmp_path / "cache").rglob("pyodide_*.capnp.bin")
        assert stored.read_bytes() == bundle.read_bytes()


def test_resolve_names_the_interceptor_and_works_with_its_ca(
    machine: Machine, authority: Issuer, tmp_path: Path
) -> None:
    with (
        Server(authority.server(), as_json("192.0.2.7")) as server,
        mitmproxy({("dns.test", 443): ("127.0.0.1", server.port)}, authority.ca) as proxy,
    ):
        store = str(tmp_path / "store")
        env = plain(machine, HTTPS_PROXY=proxy.url, PYODIDE_OFFLINE_STORE_DIR=store)
        command = ["resolve", "--policy", "secure", "--type", "A"]
        command += ["--resolver", "https://dns.test/resolve{?name,type}", "a.test"]
        refused = called(*command, env=env, cwd=tmp_path)
        assert refused.returncode == 3, refused.stdout
        assert 'its issuer, "mitmproxy", is not known' in refused.stderr
        taken = called(*command, "--ca", proxy.ca, env=env, cwd=tmp_path)
        assert taken.returncode == 0, taken.stderr
        assert "192.0.2.7" in taken.stdout


def test_a_command_of_tunnel_believes_the_interceptor_whose_ca_is_named(
    machine: Machine, authority: Issuer, tmp_path: Path
) -> None:
    """The tunnel opens no TLS; what its command is given is whom to trust."""
    asking = (
        "import socket, ssl, sys;"
        "s = socket.create_connection(('127.0.0.1', int(sys.argv[1])));"
        f"t = ssl.create_default_context().wrap_socket(s, server_hostname='{FAR}');"
        f"t.sendall(b'GET / HTTP/1.0\\r\\nHost: {FAR}\\r\\n\\r\\n');"
        "print(dict(x[0] for x in t.getpeercert()['issuer']), t.recv(99).split()[1].decode())"
    )
    with (
        origin(authority) as (port, _),
        mitmproxy({(FAR, 443): ("127.0.0.1", port)}, authority.ca) as proxy,
    ):
        store = str(tmp_path / "store")
        env = plain(machine, HTTPS_PROXY=proxy.url, PYODIDE_OFFLINE_STORE_DIR=store)
        here = str(free_port())
        command = ["tunnel", "--listen", f"127.0.0.1:{here}", "--target", f"{FAR}:443"]
        words = ["--", sys.executable, "-c", asking, here]
        refused = called(*command, *words, env=env, cwd=tmp_path)
        assert refused.returncode == 1
        assert "CERTIFICATE_VERIFY_FAILED" in refused.stderr
        taken = called(*command, "--ca", proxy.ca, *words, env=env, cwd=tmp_path)
        assert taken.returncode == 0, taken.stderr
        assert "'commonName': 'mitmproxy'" in taken.stdout
        assert taken.stdout.split()[-1] == "200"


@pytest.mark.parametrize("named", [True, False])
def test_every_program_believes_a_ca_that_is_named_and_the_public_ones(
    machine: Machine,
    prefetched: Path,
    old: tuple[Path, Path],
    authority: Issuer,
    named: bool,
) -> None:
    both = [workerd(machine, "4.86.0"), newest(machine)]
    with origin(authority) as (port, _):
        words = ["--", sys.executable, believing.__file__, f"https://localhost:{port}", *both]
        option = ["--ca", authority.ca] if named else []
        done = called("run", *option, *words, env=plain(machine), cwd=prefetched)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert len(seen) == 10
    if named:
        assert {name: said for name, said in seen.items() if said is not True} == {}
    else:
        fooled = [name for name, said in seen.items() if said is True and "public" not in name]
        assert fooled == []


def newest(machine: Machine) -> Path:
    found = machine.home.rglob("wrangler/*/**/workerd-linux-*/bin/workerd")
    numbered = {
        tuple(map(int, re.findall(r"wrangler/([\d.]+)-", str(one))[0].split("."))): one
        for one in found
    }
    return numbered[max(numbered)]
