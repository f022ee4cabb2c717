import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256

import httpx
import pytest

from pyodide_offline.errors import DepotDownError, SettingsError
from pyodide_offline.features.mirror.repository import Repository
from tests.peers.oci import HOST, FakeRegistry

_DATA = b"0123456789"
_DIGEST = f"sha256:{sha256(_DATA).hexdigest()}"


def _repository(fake: FakeRegistry, environ: dict[str, str] | None = None) -> Repository:
    return Repository(f"oci://{HOST}/m", environ or {}, transport=fake.transport())


async def _blob(repository: Repository, start: int = 0, stop: int = 10) -> bytes:
    return b"".join([one async for one in repository.blob(_DIGEST, start, stop, 10)])


def test_a_login_is_asked_for_a_token_and_goes_to_no_store() -> None:
    fake = FakeRegistry(login="dTpw", redirects=True)

    async def play() -> None:
        repository = _repository(fake, {"PYODIDE_OFFLINE_STORE_LOGIN": "u:p"})
        await repository.upload(_DIGEST, _DATA, 10)
        assert await _blob(repository) == _DATA
        await repository.close()

    asyncio.run(play())
    elsewhere = [one for one in fake.asked if one.url.host == "store.test"]
    assert elsewhere
    assert all("Authorization" not in one.headers for one in elsewhere)


def test_a_wrong_login_is_told_and_not_shown() -> None:
    async def play() -> None:
        repository = _repository(
            FakeRegistry(login="dTpw"), {"PYODIDE_OFFLINE_STORE_LOGIN": "u:the-secret"}
        )
        with pytest.raises(DepotDownError, match="401") as raised:
            await repository.upload(_DIGEST, _DATA, 10)
        assert "the-secret" not in str(raised.value)

    asyncio.run(play())


@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "whole"])
def test_a_part_is_what_was_asked_for(ranges: bool) -> None:
    async def play() -> None:
        repository = _repository(FakeRegistry({_DIGEST: _DATA}, ranges=ranges))
        assert await _blob(repository, 3, 7) == b"3456"
        assert await _blob(repository, 0, 1) == b"0"
        assert await _blob(repository, 9, 10) == b"9"

    asyncio.run(play())


def test_less_than_all_is_an_error() -> None:
    async def play() -> None:
        with pytest.raises(DepotDownError, match="a part"):
            await _blob(_repository(FakeRegistry({_DIGEST: _DATA}, cut=1)))

    asyncio.run(play())


def test_a_damaged_manifest_is_an_error() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        told = {"Docker-Content-Digest": _DIGEST}
        return httpx.Response(200, content=b"0123456780", headers=told)

    async def play() -> None:
        repository = Repository(f"oci://{HOST}/m", {}, transport=httpx.MockTransport(answer))
        with pytest.raises(DepotDownError, match="damaged"):
            await repository.manifest("k-1")

    asyncio.run(play())


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (httpx.ConnectError("refused"), "nobody answers"),
        (httpx.ConnectError("CERTIFICATE_VERIFY_FAILED"), "certificate"),
        (httpx.ReadTimeout("slow"), "in time"),
        (httpx.RemoteProtocolError("gone"), "broke"),
    ],
    ids=["refused", "certificate", "slow", "broke"],
)
def test_the_way_is_told_apart(raised: Exception, said: str) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise raised

    async def play() -> None:
        repository = Repository(f"oci://{HOST}/m", {}, transport=httpx.MockTransport(answer))
        with pytest.raises(DepotDownError, match=said):
            await repository.manifest("k-1")

    asyncio.run(play())


def test_a_blob_is_held_that_gives_its_first_byte() -> None:
    class Broken(httpx.AsyncByteStream):
        pieces: tuple[bytes, ...] = ()

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for piece in self.pieces:
                yield piece
            raise httpx.RemoteProtocolError("gone")

    given: list[httpx.Response] = []

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["Range"] == "bytes=0-0"
        return given.pop()

    async def play() -> None:
        repository = Repository(f"oci://{HOST}/m", {}, transport=httpx.MockTransport(answer))
        for one, held in (
            (httpx.Response(206, content=b"x"), True),
            (httpx.Response(200, content=b"xyz"), True),
            (httpx.Response(404), False),
            (httpx.Response(206, stream=Broken()), False),
        ):
            given.append(one)
            assert await repository.holds(_DIGEST) is held
        given.append(httpx.Response(503))
        with pytest.raises(DepotDownError, match="503"):
            await repository.holds(_DIGEST)

    asyncio.run(play())


def test_an_upload_goes_to_no_other_host() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(404)
        assert request.method == "POST"
        return httpx.Response(202, headers={"Location": "https://elsewhere.test/upload"})

    async def play() -> None:
        repository = Repository(f"oci://{HOST}/m", {}, transport=httpx.MockTransport(answer))
        with pytest.raises(DepotDownError, match="another host"):
            await repository.upload(_DIGEST, _DATA, 10)

    asyncio.run(play())


@pytest.mark.parametrize("url", ["oci://host", "oci:///x", "oci://u:the-secret@host/x"])
def test_urls_that_cannot_be_are_told_without_secrets(url: str) -> None:
    with pytest.raises(SettingsError, match="oci://HOST") as raised:
        Repository(url, {})
    assert "the-secret" not in str(raised.value)
