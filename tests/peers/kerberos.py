"""A Kerberos realm on loopback (Debian's krb5-kdc), and squid in it, which asks for tickets.

with realm() as kdc, kdc.squid() as proxy:
    environ = kdc.ticket()      # KRB5_CONFIG and KRB5CCNAME of a user who has one
"""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from tests.peers import proxies
from tests.peers.proxies import PASSWORD, USER, Proxy, a_folder, free_port, program, started

REALM = "PROXY.TEST"
HOST = "localhost"  # the name that the ticket is for
# What the realm is made of, and what the extra `kerberos` is compiled with.
PROGRAMS = ("krb5kdc", "kadmin.local", "kinit", "krb5-config", "gcc", "squid")
_ROOT = Path(__file__).resolve().parents[2]
_HELPER = "/usr/lib/squid/negotiate_kerberos_auth"


@dataclass(frozen=True)
class Realm:
    """A running one; ``environ`` is what its programs need."""

    folder: Path
    environ: Mapping[str, str]

    def ticket(self) -> dict[str, str]:
        """Log USER in; return the variables by which programs find the ticket."""
        cache = self.folder / "tickets"
        own = {**self.environ, "KRB5CCNAME": f"FILE:{cache}"}
        _run(["kinit", USER], own, typed=f"{PASSWORD}\n")
        return {name: own[name] for name in ("KRB5_CONFIG", "KRB5CCNAME")}

    @contextmanager
    def squid(self) -> Iterator[Proxy]:
        """Start squid, which takes tickets only."""
        helper = f"{_HELPER} -k {self.folder}/keytab -s HTTP/{HOST}@{REALM}"
        with proxies.squid(login="negotiate", helper=helper, environ=self.environ) as proxy:
            yield proxy


@contextmanager
def realm() -> Iterator[Realm]:
    """Make a realm with USER and the proxy in it, and start its KDC."""
    with a_folder() as folder:
        port = free_port()
        environ = {
            "PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin",
            "HOME": str(folder),
            "KRB5_CONFIG": str(folder / "krb5.conf"),
            "KRB5_KDC_PROFILE": str(folder / "kdc.conf"),
        }
        (folder / "krb5.conf").write_text(f"""\
[libdefaults]
  default_realm = {REALM}
  dns_lookup_kdc = false
  dns_lookup_realm = false
  dns_canonicalize_hostname = false
  rdns = false
  udp_preference_limit = 1
[realms]
  {REALM} = {{
    kdc = 127.0.0.1:{port}
  }}
[domain_realm]
  {HOST} = {REALM}
""")
        (folder / "kdc.conf").write_text(f"""\
[kdcdefaults]
  kdc_listen = 127.0.0.1:{port}
  kdc_tcp_listen = 127.0.0.1:{port}
[realms]
  {REALM} = {{
    database_name = {folder}/principal
    key_stash_file = {folder}/stash
    acl_file = {folder}/acl
  }}
""")
        _run(["kdb5_util", "create", "-s", "-r", REALM, "-P", "master"], environ)
        for words in (
            f"addprinc -pw {PASSWORD} {USER}",
            f"addprinc -randkey HTTP/{HOST}",
            f"ktadd -k {folder}/keytab HTTP/{HOST}",
        ):
            _run(["kadmin.local", "-r", REALM, "-q", words], environ)
        (folder / "keytab").chmod(0o644)  # squid's helper is another user
        command = ["krb5kdc", "-n", "-r", REALM, "-P", str(folder / "pid")]
        with started(command, port, folder / "output", environ=environ):
            yield Realm(folder, environ)


def missing() -> list[str]:
    """Return the programs that are not installed."""
    return [one for one in PROGRAMS if program(one) is None]


def python() -> Path:
    """Return a Python that has this project with its extra `kerberos`, compiled once."""
    home = Path(sys.prefix) / "peers" / "kerberos"
    home.parent.mkdir(exist_ok=True)
    wanted = hashlib.sha256((_ROOT / "pyproject.toml").read_bytes()).hexdigest()
    stamp, found = home / "installed", home / "bin" / "python"
    with FileLock(home.with_suffix(".lock")):
        if not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted:
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
            pip = [str(found), "-m", "pip", "install", "-q", "-e", f"{_ROOT}[kerberos]"]
            subprocess.run(pip, check=True, stdin=subprocess.DEVNULL)
            stamp.write_text(wanted, encoding="utf-8")
    return found


def _run(command: list[str], environ: Mapping[str, str], typed: str = "") -> None:
    path = program(command[0])
    assert path, f"{command[0]} is not installed"
    done = subprocess.run(
        [path, *command[1:]],
        env=dict(environ),
        input=typed,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"
