"""uv's archives of native Pythons: taken as they are, pinned, and brought once."""

import dataclasses
import json
from pathlib import Path

import pytest

from pyodide_offline import process
from pyodide_offline.errors import (
    IntegrityError,
    NetworkError,
    OfflineError,
    ProjectError,
    ToolchainError,
)
from pyodide_offline.features.kit import pythons, targets, workerside
from pyodide_offline.features.kit.locks import Pins
from pyodide_offline.process import Finished
from tests.unit.features.kit.test_pack import TOOLS

FILE = "cpython-3.14.10+20261110-{}-install_only_stripped.tar.gz"
UNREACHED = (
    "error: Failed to install cpython-3.14.10\n  cause: Request failed after 3 retries\n"
    "  cause: error sending request for url (https://me:s3cret@mirror.example/x.tar.gz)\n"
)


class Uv:
    """Stands in for uv: what it was asked, and what it answers."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.content, self.error, self.known = b"an archive of ", "", True

    def capture(self, command, *, env, **_):
        words = [str(one) for one in command[1:]]
        self.asked.append(words)
        if words[1] == "list":
            request = words[2]
            url = "https://x.example/r/" + FILE.format(request).replace("+", "%2B")
            return Finished(0, json.dumps([{"version": "3.14.10", "url": url}] * self.known), "")
        assert env["UV_PYTHON_DOWNLOADS"] == "manual"
        if self.error:
            return Finished(1, "", self.error)
        kept = Path(env["UV_PYTHON_CACHE_DIR"])
        kept.mkdir()
        (kept / "1234-mangled.tar.gz").write_bytes(self.content + words[3].encode())
        return Finished(0, "", "")


@pytest.fixture
def uv(monkeypatch):
    made = Uv()
    monkeypatch.setattr(process, "capture", made.capture)
    monkeypatch.setattr(workerside, "environment", lambda *_: {"UV_PYTHON_DOWNLOADS": "never"})
    return made


@pytest.fixture
def pack(session):
    def packed(*names, pin=False, offline=False):
        alone = dataclasses.replace(session, offline=offline)
        wanted = [targets.named(name) for name in names or ("linux-x64",)]
        return list(pythons.packed(alone, Pins(alone, pin), TOOLS, "3.14", wanted))

    return packed


def test_each_target_gets_its_own_as_uv_has_it(uv, pack):
    linux, mac = pack("linux-x64", "darwin-arm64", pin=True)
    assert linux.item.file == FILE.format("cpython-3.14-linux-x86_64-gnu")
    assert linux.path.read_bytes() == b"an archive of cpython-3.14.10-linux-x86_64-gnu"
    assert (linux.item.kind, linux.item.version) == ("python", "3.14.10")
    assert linux.item.targets == ("linux-x64",)
    assert linux.item.purl == "pkg:generic/cpython@3.14.10"
    assert mac.path.read_bytes() == b"an archive of cpython-3.14.10-macos-aarch64-none"


def test_what_is_pinned_is_taken_again_and_uv_is_not_asked(uv, pack):
    first = pack(pin=True)
    uv.asked.clear()
    assert pack(offline=True) == first
    assert uv.asked == []


def test_without_a_pin_it_is_an_error_that_names_the_option(uv, pack):
    with pytest.raises(ProjectError, match=r"a native Python 3\.14 for linux-x64") as caught:
        pack()
    assert "--pin-now" in str(caught.value)


def test_what_the_store_has_lost_is_fetched_again_and_must_be_the_same(uv, pack):
    (first,) = pack(pin=True)
    first.path.unlink()
    assert pack()[0].item == first.item
    first.path.unlink()
    with pytest.raises(OfflineError, match="nothing may be fetched"):
        pack(offline=True)
    uv.content = b"other bytes of "
    with pytest.raises(IntegrityError):
        pack()


@pytest.mark.parametrize(
    ("output", "kind", "says"),
    [
        (UNREACHED, NetworkError, "uv cannot fetch a native Python"),
        ("error: x\n  cause: Hash mismatch for `x`", IntegrityError, "not the one that uv knows"),
    ],
)
def test_that_uv_cannot_have_it_names_the_ways_out_and_no_password(uv, pack, output, kind, says):
    uv.error = output
    with pytest.raises(kind, match=says) as caught:
        pack(pin=True)
    assert "UV_PYTHON_INSTALL_MIRROR" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_uv_that_knows_none_is_named(uv, pack):
    uv.known = False
    with pytest.raises(ToolchainError, match=r"knows no native Python 3\.14 for win32-x64"):
        pack("win32-x64", pin=True)
