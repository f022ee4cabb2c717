"""A kit, made here and run where nothing is: no network, no Node, no uv, no product, no HOME."""

import json
import tarfile

import pytest

from pyodide_offline.store import Store
from tests.e2e import kits
from tests.e2e.conftest import Machine
from tests.e2e.kits import Packed
from tests.peers.netns import Counted
from tests.peers.onlypython import Elsewhere
from tests.peers.wrangler import copy_example

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

# Starts the command, asks the worker, and ends it, all inside the network that counts. In
# there every port is free.
ASK = """
import http.client, signal, subprocess, sys, time

server = subprocess.Popen([*sys.argv[1:], "--ip", "127.0.0.1", "--port", "8797"])

def ask(method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", 8797, timeout=120)
    kind = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
    connection.request(method, path, body, kind)
    return connection.getresponse().read().decode().strip()

deadline = time.monotonic() + 900
while True:
    try:
        print("HOME", ask("GET", "/"))
        break
    except OSError:
        if server.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"no answer; the command's status is {server.poll()}")
        time.sleep(0.5)
print("COUNTER", ask("GET", "/counter"), ask("GET", "/counter"))
print("FORM", ask("POST", "/form", "name=Ada"))
server.send_signal(signal.SIGINT)
server.wait(60)
"""


@pytest.fixture(scope="module")
def kit(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Packed:
    """A signed kit of the Starlette example."""
    folder = tmp_path_factory.mktemp("a kit")
    return kits.packed(machine, copy_example("starlette", folder / "a project"))


def test_two_packs_are_the_same_and_as_large_as_their_archives(
    machine: Machine, kit: Packed
) -> None:
    again = kit.file.with_name("again.kit")
    kits.ran(machine, "kit", "pack", kit.project, "-o", again, "--sign", kit.secret, "--offline")
    assert again.read_bytes() == kit.file.read_bytes()
    with tarfile.open(kit.file) as tar:
        archives = sum(one.size for one in tar if one.name.startswith("blobs/"))
    assert kit.file.stat().st_size < archives * 1.01


@pytest.fixture(scope="module")
def elsewhere(kit: Packed, tmp_path_factory: pytest.TempPathFactory) -> Elsewhere:
    """The machine that only Python is on."""
    return Elsewhere(tmp_path_factory.mktemp("only python"), kit.file, kit.key)


@pytest.fixture(scope="module")
def ran(counting_network: None, elsewhere: Elsewhere) -> Counted:
    """The kit's first start, its pages asked for, in the network that counts."""
    project = copy_example("starlette", elsewhere.home.with_name("a project"))
    command = elsewhere.command(["pywrangler", "dev"])
    return elsewhere.counted(["python3", "-c", ASK, *command], project, timeout=1200)


def test_the_starlette_example_answers_where_only_python_is(ran: Counted) -> None:
    assert "Hello from Starlette" in ran.output, ran.output
    assert "COUNTER 1 2" in ran.output, ran.output
    assert "Hello, Ada!" in ran.output, ran.output


def test_nothing_leaves_meanwhile(ran: Counted) -> None:
    assert ran.packets == 0, (ran.sent, ran.output)


def test_the_first_start_takes_the_memory_that_the_kit_brings(
    ran: Counted, elsewhere: Elsewhere
) -> None:
    store = Store(elsewhere.home / ".cache" / "pyodide-offline")
    (memo,) = (store.root / "v1" / "memos" / "last-snapshots").iterdir()
    loaded = json.loads(memo.read_text())
    entry = store.find("snapshot", loaded["packages"])
    assert entry is not None, ran.output
    assert entry.provenance["source"] == "a kit"
