"""A native Python in a kit, by the real uv; this machine's own stands in for uv's 3.14.

Where uv's archives lie cannot be reached here, and no registry has a CPython 3.14.
"""

import dataclasses
import http.server
import json
import os
import platform
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from pyodide_offline.errors import IntegrityError, NetworkError
from pyodide_offline.features.kit import natives, pythons, targets
from pyodide_offline.features.kit.archives import Archive
from pyodide_offline.features.kit.locks import Pins
from pyodide_offline.session import Session
from pyodide_offline.store import Store
from pyodide_offline.workers.toolchain import chain
from pyodide_offline.workers.toolchain.chain import Toolchain
from tests.e2e.conftest import Machine
from tests.peers import standalone
from tests.peers.standalone import SERIES, VERSION, Source

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
HERE = targets.here(sys.platform, platform.machine())
OTHER = targets.named("darwin-arm64")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    """Archives for this platform and another one, over HTTP."""
    folder = tmp_path_factory.mktemp("web") / "pythons"
    serve = partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        origin = f"http://127.0.0.1:{server.server_address[1]}"
        yield standalone.source(folder, origin, HERE.python, OTHER.python)
        server.shutdown()


@pytest.fixture
def here(machine: Machine, prefetched: Path, tmp_path: Path, source: Source) -> Session:
    """A session with a store of its own, whose uv knows the archives of ``source`` only."""
    environ = {
        **machine.env,
        "NO_PROXY": "127.0.0.1",
        "UV_PYTHON_DOWNLOADS_JSON_URL": str(source.list),
    }
    return Session(Store(tmp_path / "a store"), environ, prefetched, tmp_path / "cache")


@pytest.fixture
def tools(machine: Machine, prefetched: Path, tmp_path: Path) -> Toolchain:
    """What the machine's store has: Node, wrangler, pywrangler and uv."""
    store = Store(machine.home / ".cache" / "pyodide-offline")
    session = Session(store, machine.env, prefetched, tmp_path / "cache", offline=True)
    return chain.get(session, pywrangler=True)


def packed(session: Session, tools: Toolchain, *, pin: bool = False) -> list[Archive]:
    return list(pythons.packed(session, Pins(session, pin), tools, SERIES, [HERE, OTHER]))


def uv(tools: Toolchain) -> Path:
    assert tools.pywrangler is not None
    return tools.pywrangler.uv


def test_it_is_brought_byte_for_byte_and_pinned(
    here: Session, tools: Toolchain, source: Source
) -> None:
    found = packed(here, tools, pin=True)
    assert {one.item.file: one.path.read_bytes() for one in found} == source.archives
    assert [one.item.version for one in found] == [VERSION, VERSION]
    nobody = dataclasses.replace(
        here, environ={**here.environ, "UV_PYTHON_DOWNLOADS_JSON_URL": "/nowhere"}
    )
    assert packed(nobody, tools) == found


def test_other_bytes_are_refused_and_nothing_is_kept(
    here: Session, tools: Toolchain, source: Source, tmp_path: Path
) -> None:
    listed = json.loads(source.list.read_text())
    for one in listed.values():
        one["sha256"] = "0" * 64
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps(listed))
    environ = {**here.environ, "UV_PYTHON_DOWNLOADS_JSON_URL": str(wrong)}
    with pytest.raises(IntegrityError, match="not the one that uv knows"):
        packed(dataclasses.replace(here, environ=environ), tools, pin=True)
    assert not list(here.store.root.rglob("*.tar.gz"))


def test_a_source_that_is_down_names_the_ways_out(
    here: Session, tools: Toolchain, source: Source, tmp_path: Path
) -> None:
    down = tmp_path / "down.json"
    text = source.list.read_text()
    address = json.loads(text).popitem()[1]["url"].rpartition("/")[0]
    down.write_text(text.replace(address, "http://127.0.0.1:9"))
    environ = {**here.environ, "UV_PYTHON_DOWNLOADS_JSON_URL": str(down), "UV_HTTP_RETRIES": "0"}
    with pytest.raises(NetworkError, match="uv cannot fetch a native Python") as caught:
        packed(dataclasses.replace(here, environ=environ), tools, pin=True)
    assert "UV_PYTHON_INSTALL_MIRROR" in str(caught.value)


def test_on_the_other_machine_uv_opens_it_and_finds_it(
    here: Session, tools: Toolchain, tmp_path: Path
) -> None:
    found = packed(here, tools, pin=True)
    items = [one.item for one in found]
    at = {one.item.sha256: one.path for one in found}
    there = Session(
        Store(tmp_path / "there"),
        {"HOME": str(tmp_path), "PATH": str(tmp_path / "nothing")},
        tmp_path,
        tmp_path / "cache",
    )
    with ThreadPoolExecutor(2) as both:  # as two starts at once would
        for done in [
            both.submit(natives.place, there, uv(tools), items, at, SERIES) for _ in range(2)
        ]:
            done.result()
    python = natives.find(there, SERIES)
    assert python is not None
    assert python.is_relative_to(there.store.root)
    pythons_folder = there.store.root / "v1" / "uv-python"
    before = sorted(pythons_folder.rglob("*"))
    natives.place(there, Path("/nowhere/uv"), items, at, SERIES)
    assert sorted(pythons_folder.rglob("*")) == before
    environ = {
        **there.environ,
        "UV_PYTHON_INSTALL_DIR": str(pythons_folder),
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_OFFLINE": "1",
    }
    environment = tmp_path / "environment"
    words = ["venv", "--managed-python", "--python", f"python{SERIES}", str(environment)]
    subprocess.run([str(uv(tools)), *words], env=environ, check=True, timeout=60)
    asked = [str(environment / "bin" / "python"), "-c", "import sys, ssl; print(sys.base_prefix)"]
    said = subprocess.run(asked, check=True, capture_output=True, text=True, timeout=60)
    assert os.path.realpath(said.stdout.strip()).startswith(os.path.realpath(pythons_folder))
