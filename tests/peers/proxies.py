"""Real proxies on loopback: squid, tinyproxy, microsocks, dante, and TLS in front of one.

    with squid(login="digest") as proxy, origin() as there:
        proxy.url            # http://127.0.0.1:34567
        proxy.with_login     # the same with USER and PASSWORD in it

Each has a folder and a port of its own, is waited for, and is ended by its id.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from typing import Literal

from tests.peers.authority import Authority

USER, PASSWORD = "joe", "s3cret:horse"
BLOCKED_PORT = 9  # squid's rules here do not allow it
GREETING = b"hello, "
_HELPERS = Path("/usr/lib/squid")
_SBIN = "/usr/sbin:/usr/bin"


@dataclass(frozen=True)
class Proxy:
    """A running one. ``log`` is what it wrote, ``pid`` its process."""

    port: int
    log: Path
    pid: int
    scheme: str = "http"
    host: str = "127.0.0.1"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"

    @property
    def with_login(self) -> str:
        return self.login(USER, PASSWORD)

    def login(self, user: str, password: str) -> str:
        """Return the URL with this user and password, percent-encoded where it must be."""
        secret = password.replace(":", "%3A")
        return f"{self.scheme}://{user}:{secret}@{self.host}:{self.port}"


def program(name: str) -> str | None:
    """Return where a program is; those of the system's administrator count."""
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:{_SBIN}")


@contextmanager
def squid(
    *,
    login: Literal["", "basic", "digest", "negotiate"] = "",
    host: str = "127.0.0.1",
    helper: str = "",
    environ: Mapping[str, str] | None = None,
    names: Sequence[str] = (),
    only_443: bool = False,
) -> Iterator[Proxy]:
    """Start squid; ``login`` is the scheme that it asks for, ``host`` where it listens.

    ``helper`` is the program that checks logins, if it is not squid's own for USER;
    ``names`` are hosts that it alone knows, on loopback. ``only_443``: CONNECT is for that
    port alone, as squid's own configuration has it.
    """
    with a_folder() as folder:
        port = free_port()
        rules = [f"acl blocked port {BLOCKED_PORT}", "http_access deny blocked"]
        if login:
            rules = [*_squid_login(folder, login, helper), *rules, "acl known proxy_auth REQUIRED"]
        if only_443:
            rules = ["acl ssl port 443", "http_access deny CONNECT !ssl", *rules]
        lines = [
            f"http_port {host}:{port}",
            f"pid_filename {folder}/squid.pid",
            f"cache_log {folder}/cache.log",
            f"access_log stdio:{folder}/access.log",
            f"coredump_dir {folder}",
            "cache deny all",
            "memory_cache_shared off",
            "shutdown_lifetime 0 seconds",
            "visible_hostname squid.test",
            f"hosts_file {folder}/hosts",
            *rules,
            "http_access allow known" if login else "http_access allow localhost",
            "http_access deny all",
        ]
        if os.geteuid() == 0:
            lines.append("cache_effective_user proxy")
            shutil.chown(folder, "proxy")
        hosts = "".join(f"127.0.0.1 {name}\n" for name in ("localhost", *names))
        (folder / "hosts").write_text(hosts, encoding="utf-8")
        config = folder / "squid.conf"
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        # A name of its own: shared memory of one that was killed would stop the next.
        command = ["squid", "-N", "-n", f"t{port}", "-f", str(config)]
        with started(command, port, folder / "output", host=host, environ=environ) as pid:
            yield Proxy(port, folder / "access.log", pid, host=host)


def _squid_login(folder: Path, login: str, helper: str) -> list[str]:
    file = folder / "users"
    if helper:
        return [
            f"auth_param {login} program {helper}",
            f"auth_param {login} children 2 startup=1 idle=1",
            f"auth_param {login} keep_alive on",
        ]
    if login == "basic":
        hashed = subprocess.run(
            ["openssl", "passwd", "-apr1", PASSWORD], check=True, capture_output=True, text=True
        ).stdout.strip()
        file.write_text(f"{USER}:{hashed}\n", encoding="utf-8")
        helper = f"{_HELPERS}/basic_ncsa_auth {file}"
    else:
        secret = md5(f"{USER}:squid.test:{PASSWORD}".encode(), usedforsecurity=False).hexdigest()
        file.write_text(f"{USER}:squid.test:{secret}\n", encoding="utf-8")
        helper = f"{_HELPERS}/digest_file_auth -c {file}"
    return [
        f"auth_param {login} program {helper}",
        f"auth_param {login} children 2 startup=1 idle=1",
        f"auth_param {login} realm squid.test",
    ]


@contextmanager
def tinyproxy(*, login: bool = False) -> Iterator[Proxy]:
    """Start tinyproxy, which answers in HTTP/1.0 and closes after each refusal."""
    with a_folder() as folder:
        port = free_port()
        lines = [
            f"Port {port}",
            "Listen 127.0.0.1",
            "Timeout 60",
            "MaxClients 40",
            "Allow 127.0.0.1",
            "LogLevel Connect",
            f'LogFile "{folder}/tinyproxy.log"',
            # A file may not hold a colon in it: tinyproxy's own syntax.
            *([f"BasicAuth {USER} {PASSWORD.replace(':', '')}"] if login else []),
        ]
        config = folder / "tinyproxy.conf"
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        with started(["tinyproxy", "-d", "-c", str(config)], port, folder / "output") as pid:
            yield Proxy(port, folder / "tinyproxy.log", pid)


@contextmanager
def microsocks(*, login: bool = False) -> Iterator[Proxy]:
    """Start microsocks, a SOCKS5 proxy."""
    with a_folder() as folder:
        port = free_port()
        command = ["microsocks", "-i", "127.0.0.1", "-p", str(port)]
        if login:
            command += ["-u", USER, "-P", PASSWORD]
        with started(command, port, folder / "output") as pid:
            yield Proxy(port, folder / "output", pid, "socks5h")


@contextmanager
def stunnel(behind: Proxy, authority: Authority) -> Iterator[Proxy]:
    """Start stunnel, which makes of a proxy one that is spoken to in TLS."""
    with a_folder() as folder:
        port = free_port()
        lines = [
            "foreground = yes",
            "pid =",
            "[proxy]",
            f"accept = 127.0.0.1:{port}",
            f"connect = 127.0.0.1:{behind.port}",
            f"cert = {authority.ca}",
            f"key = {authority.key}",
        ]
        config = folder / "stunnel.conf"
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        with started(["stunnel4", str(config)], port, folder / "output") as pid:
            yield Proxy(port, folder / "output", pid, "https")


@contextmanager
def haproxy(behind: Proxy, authority: Authority) -> Iterator[Proxy]:
    """Start haproxy, which does as stunnel does."""
    with a_folder() as folder:
        port = free_port()
        chain = folder / "chain.pem"
        parts = (authority.ca, authority.key)
        chain.write_text("".join(Path(one).read_text(encoding="utf-8") for one in parts))
        lines = [
            "defaults",
            "  mode tcp",
            "  timeout connect 5s",
            "  timeout client 60s",
            "  timeout server 60s",
            "listen proxy",
            f"  bind 127.0.0.1:{port} ssl crt {chain}",
            f"  server behind 127.0.0.1:{behind.port}",
        ]
        config = folder / "haproxy.cfg"
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        with started(["haproxy", "-db", "-f", str(config)], port, folder / "output") as pid:
            yield Proxy(port, folder / "output", pid, "https")


@contextmanager
def dante() -> Iterator[Proxy]:
    """Start dante, a SOCKS5 proxy that checks a rule for each request.

    It lets nobody reach BLOCKED_PORT. Its logins are those of the machine, so it asks for
    none.
    """
    with a_folder() as folder:
        port = free_port()
        lines = [
            f"logoutput: {folder}/log",
            f"internal: 127.0.0.1 port = {port}",
            "external: 127.0.0.1",
            "clientmethod: none",
            "socksmethod: none",
            "client pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }",
            f"socks block {{ from: 0.0.0.0/0 to: 0.0.0.0/0 port = {BLOCKED_PORT} }}",
            "socks pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }",
        ]
        config = folder / "danted.conf"
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        command = ["danted", "-f", str(config), "-p", str(folder / "pid")]
        with started(command, port, folder / "output") as pid:
            yield Proxy(port, folder / "log", pid, "socks5h")


@contextmanager
def origin() -> Iterator[int]:
    """Serve a port that greets first, and then gives back what it is sent."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client, _ = server.accept()
                    threading.Thread(target=_echo, args=(client,), daemon=True).start()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)  # wakes accept()
    thread.join(5)


def _echo(client: socket.socket) -> None:
    with client, suppress(OSError):
        client.sendall(GREETING)
        while data := client.recv(65536):
            client.sendall(data)


def exchange(there: socket.socket, early: bytes = b"") -> bytes:
    """Return what the origin says first, and what it gives back of a word."""
    with there:
        heard = early
        there.settimeout(10)
        while len(heard) < len(GREETING):
            heard += there.recv(100)
        there.sendall(b"world")
        while len(heard) < len(GREETING) + 5:
            heard += there.recv(100)
        return heard


def free_port() -> int:
    """Return a port that nothing listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@contextmanager
def a_folder() -> Iterator[Path]:
    """Make a folder for a proxy's files."""
    # Not pytest's: squid's helpers run as another user, who must be let in.
    with tempfile.TemporaryDirectory(prefix="proxies-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@contextmanager
def started(
    command: Sequence[str],
    port: int,
    output: Path,
    *,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    host: str = "127.0.0.1",
) -> Iterator[int]:
    """Start a program, wait until it listens on the port, give its id, end it."""
    path = program(command[0])
    assert path, f"{command[0]} is not installed"
    with output.open("wb") as log:
        child = subprocess.Popen(
            [path, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environ,
            cwd=cwd,
        )
    try:
        _await(child, (host, port), output)
        yield child.pid
    finally:
        child.terminate()
        try:
            child.wait(5)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _await(child: subprocess.Popen[bytes], place: tuple[str, int], output: Path) -> None:
    """Wait until something listens there, 15 seconds at most."""
    for _ in range(300):
        with suppress(OSError), socket.create_connection(place, 1):
            return
        if child.poll() is not None:
            break
        time.sleep(0.05)
    raise AssertionError(f"no proxy: {output.read_text(encoding='utf-8', errors='replace')}")
