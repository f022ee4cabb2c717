"""A mirror is asked for what locks name, and each body is hashed on the way."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from pyodide_offline.digest import of_bytes
from pyodide_offline.errors import NetworkError
from pyodide_offline.features.mirror import sync
from pyodide_offline.features.mirror.locked import NPM, PYTHON, Fit, Want
from pyodide_offline.features.mirror.sync import Bundle, Report

ONE, WHEEL = b"a tarball", b"a wheel"
FILES = [
    {"filename": "two-2-py3-none-any.whl", "url": "../../files/x/two-2-py3-none-any.whl#sha256=x",
     "hashes": {"sha256": of_bytes(WHEEL).hex}, "core-metadata": True},
    {"filename": "two-2-cp312-cp312-win_amd64.whl", "url": "../../files/y/w.whl",
     "hashes": {"sha256": of_bytes(b"other").hex}},
    {"filename": "two-1-py3-none-any.whl", "url": "../../files/z/two-1-py3-none-any.whl",
     "hashes": {"sha256": of_bytes(b"old").hex}},
]  # fmt: skip


@dataclass
class Told:
    status: int
    body: bytes

    async def chunks(self) -> AsyncIterator[bytes]:
        for byte in self.body:
            yield bytes([byte])


class Mirror:
    """What a mirror holds, by path; ``asked`` is what it was asked for."""

    def __init__(self, held: Mapping[str, bytes]) -> None:
        self.held = held
        self.asked: list[str] = []

    @asynccontextmanager
    async def __call__(self, path: str, headers: Mapping[str, str]) -> AsyncIterator[Told]:
        self.asked.append(path)
        assert "Host" not in headers
        if path == "/broken.capnp.bin":
            raise NetworkError("It breaks.")
        body = self.held.get(path)
        refused = json.dumps({"error": {"what": "It is not here."}}).encode()
        yield Told(404, refused) if body is None else Told(200, body)


HELD = {
    "/npm/@s/one": b"{}",
    "/npm/@s/one/-/one-1.0.0.tgz": ONE,
    "/simple/two/": json.dumps({"files": FILES}).encode(),
    "/files/x/two-2-py3-none-any.whl": WHEEL,
    "/files/x/two-2-py3-none-any.whl.metadata": b"Name: two",
    "/b.capnp.bin": b"a bundle",
}
WANTS = [
    Want(NPM, "@s/one", "1.0.0", (of_bytes(ONE, "sha512"),)),
    Want(PYTHON, "two", "2", (of_bytes(WHEEL), of_bytes(b"other"))),
]
FIT = Fit(wheels=frozenset())


def fill(mirror: Mirror, *wants: Want, bundles: tuple[Bundle, ...] = ()) -> Report:
    return asyncio.run(sync.fill(mirror, wants, bundles, FIT))


def test_indexes_archives_and_bundles_are_asked_for_and_nothing_else() -> None:
    mirror = Mirror(HELD)
    found = fill(mirror, *WANTS, bundles=(Bundle("/b.capnp.bin", of_bytes(b"a bundle")),))
    assert found == Report(3, len(ONE) + len(WHEEL) + 8, [])
    assert sorted(mirror.asked) == sorted(HELD)


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("/npm/@s/one/-/one-1.0.0.tgz", b"another", "is not what the lock says"),
        ("/npm/@s/one/-/one-1.0.0.tgz", None, "answers 404"),
        ("/npm/@s/one", None, "/npm/@s/one. It is not here."),
        ("/simple/two/", b'{"files": []}', "has no file of two 2"),
        ("/simple/two/", b"<html>", "is no page of an index"),
        ("/simple/two/", b'{"files": [1]}', "is no page of an index"),
        ("/files/x/two-2-py3-none-any.whl", b"", "is not what the lock says"),
    ],
)
def test_what_fails_is_told_and_the_rest_is_had(path: str, body: bytes | None, says: str) -> None:
    held = {key: one for key, one in {**HELD, path: body}.items() if one is not None}
    found = fill(Mirror(held), *WANTS, bundles=(Bundle("/broken.capnp.bin", None),))
    assert len(found.faults) == 2
    assert found.faults[0] == "/broken.capnp.bin: It breaks."
    assert says in found.faults[1]
    assert found.files == 1


def test_an_index_without_end_is_not_read_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync, "LARGEST_INDEX", 10)
    found = fill(Mirror({**HELD, "/npm/@s/one": bytes(11)}), WANTS[0])
    assert "longer than an index may be" in found.faults[0]


def test_a_bundle_without_a_carried_digest_is_taken_as_it_is() -> None:
    found = fill(Mirror(HELD), bundles=(Bundle("/b.capnp.bin", None),))
    assert (found.files, found.faults) == (1, [])
