"""Real DNS-over-HTTPS servers from Debian: unbound, dnsdist, bind9, on loopback.

Each is started in the foreground with a configuration of its own, on a high port, and
ended by its process; the services that the packages bring are not used.
"""

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.peers.authority import Authority

PATH = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"
ADDRESS4, ADDRESS6 = "192.0.2.7", "2001:db8::7"
SERVICE = '1 . alpn="h2,h3" ipv4hint="192.0.2.7"'
# What unbound and bind9 know; dnsdist makes its answers itself.
_ZONE = f"""\
www.example.test. 300 IN A {ADDRESS4}
www.example.test. 300 IN AAAA {ADDRESS6}
www.example.test. 300 IN HTTPS {SERVICE}
alias.example.test. 120 IN CNAME www.example.test.
"""


@dataclass(frozen=True)
class Resolver:
    """A running server; ``port`` is for DNS over HTTPS."""

    name: str
    port: int

    def url(self, template: str = "", host: str = "dns.test") -> str:
        return f"https://{host}:{self.port}/dns-query{template}#127.0.0.1"


def _unbound(folder: Path, port: int, authority: Authority) -> list[str]:
    data = "".join(
        f"  local-data: '{line}'\n" for line in _ZONE.splitlines() if "CNAME" not in line
    )
    soa = "example.test. 300 IN SOA ns.example.test. me.example.test. 1 60 60 60 45"
    config = f"""\
server:
  interface: 127.0.0.1@{port}
  https-port: {port}
  tls-service-key: "{authority.key}"
  tls-service-pem: "{authority.ca}"
  directory: "{folder}"
  pidfile: ""
  username: ""
  chroot: ""
  use-syslog: no
  logfile: ""
  num-threads: 1
  local-zone: "example.test." static
  local-data: "{soa}"
{data}
remote-control:
  control-enable: no
"""
    (folder / "unbound.conf").write_text(config)
    return ["unbound", "-d", "-c", str(folder / "unbound.conf")]


def _bind9(folder: Path, port: int, authority: Authority) -> list[str]:
    soa = "example.test. 300 IN SOA ns.example.test. me.example.test. 1 60 60 60 45\n"
    ns = "example.test. 300 IN NS ns.example.test.\nns.example.test. 300 IN A 127.0.0.1\n"
    (folder / "zone").write_text(soa + ns + _ZONE)
    config = f"""\
tls own {{ cert-file "{authority.ca}"; key-file "{authority.key}"; }};
http own {{ endpoints {{ "/dns-query"; }}; }};
options {{
  directory "{folder}";
  listen-on port {port} tls own http own {{ 127.0.0.1; }};
  listen-on-v6 {{ none; }};
  recursion no;
  dnssec-validation no;
  pid-file none;
  lock-file none;
  session-keyfile none;
}};
controls {{ }};
zone "example.test" {{ type primary; file "zone"; }};
"""
    (folder / "named.conf").write_text(config)
    return ["named", "-g", "-n", "1", "-c", str(folder / "named.conf")]


def _dnsdist(folder: Path, port: int, authority: Authority) -> list[str]:
    config = f"""\
setLocal("127.0.0.1:{_free_port()}")
setSecurityPollSuffix("")
addDOHLocal("127.0.0.1:{port}", "{authority.ca}", "{authority.key}", "/dns-query")
addAction("www.example.test.", SpoofAction({{"{ADDRESS4}", "{ADDRESS6}"}}, {{ttl=30}}))
addAction("alias.example.test.", SpoofCNAMEAction("www.example.test.", {{ttl=30}}))
addAction("servfail.example.test.", RCodeAction(DNSRCode.SERVFAIL))
addAction("refused.example.test.", RCodeAction(DNSRCode.REFUSED))
addAction("dropped.example.test.", DropAction())
addAction(AllRule(), RCodeAction(DNSRCode.NXDOMAIN))
"""
    (folder / "dnsdist.conf").write_text(config)
    return ["dnsdist", "--supervised", "--disable-syslog", "-C", str(folder / "dnsdist.conf")]


KINDS: dict[str, Callable[[Path, int, Authority], list[str]]] = {
    "unbound": _unbound,
    "dnsdist": _dnsdist,
    "named": _bind9,
}


def missing() -> list[str]:
    """Return the servers that are not installed."""
    return [kind for kind in KINDS if shutil.which(kind, path=PATH) is None]


@contextmanager
def running(kind: str, folder: Path, authority: Authority) -> Iterator[Resolver]:
    """Start a server and wait until it accepts connections."""
    program = shutil.which(kind, path=PATH)
    if program is None:
        pytest.fail(f"{kind} is not installed")
    folder.mkdir()
    port = _free_port()
    command = KINDS[kind](folder, port, authority)
    log = folder / "log"
    with log.open("wb") as file:
        child = subprocess.Popen(
            [program, *command[1:]],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait(child, port, log)
        yield Resolver(kind, port)
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _wait(child: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline and child.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"{child.args!r} does not listen:\n{log.read_text(errors='replace')}")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
