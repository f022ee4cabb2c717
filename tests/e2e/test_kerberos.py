"""Negotiate with a Kerberos ticket: a real KDC, squid that takes nothing else."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.peers import kerberos, proxies
from tests.peers.kerberos import HOST, REALM, Realm
from tests.peers.proxies import GREETING, USER

pytestmark = [pytest.mark.e2e, pytest.mark.registry, pytest.mark.timeout(600)]
_DIAL = """
import sys
from pyodide_offline.errors import NetworkError
from pyodide_offline.network.connect import dial_sync
from pyodide_offline.network.proxies import parse
try:
    proxy = parse(sys.argv[2], "HTTPS_PROXY")
    dialed = dial_sync("127.0.0.1", int(sys.argv[1]), [proxy], environ={})
except NetworkError as error:
    sys.exit(str(error))
heard = dialed.early
while len(heard) < int(sys.argv[3]):
    heard += dialed.socket.recv(100)
sys.stdout.buffer.write(heard)
"""


@pytest.fixture(scope="module")
def realm() -> Iterator[Realm]:
    if not os.environ.get("CI") and (missing := kerberos.missing()):
        pytest.skip(f"not installed: {', '.join(missing)}")
    with kerberos.realm() as made:
        yield made


def _dial(url: str, port: int, environ: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(kerberos.python()), "-c", _DIAL, str(port), url, str(len(GREETING))],
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def test_a_ticket_opens_the_way_and_without_one_the_error_says_so(
    realm: Realm, tmp_path: Path
) -> None:
    with realm.squid() as proxy, proxies.origin() as port:
        url = proxy.url.replace("127.0.0.1", HOST)
        done = _dial(url, port, realm.ticket())
        assert (done.stdout, done.stderr) == (GREETING.decode(), "")
        assert f" {USER}@{REALM} " in proxy.log.read_text(encoding="utf-8")
        none = {**realm.ticket(), "KRB5CCNAME": f"FILE:{tmp_path / 'none'}"}
        done = _dial(url, port, none)
        assert (done.returncode, done.stdout) == (1, "")
        assert "wants a login" in done.stderr
        assert "It offers: negotiate." in done.stderr
