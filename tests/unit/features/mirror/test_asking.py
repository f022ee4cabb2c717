"""Both ways of asking a mirror stream, and tell what breaks."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import pytest

from pyodide_offline.errors import NetworkError
from pyodide_offline.features.mirror import asking
from pyodide_offline.features.mirror.sync import Asking
from pyodide_offline.network.mirrored import Mirror
from tests.peers.authority import Issuer
from tests.peers.registry import Answer, Registry

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


async def body(ask: Asking, path: str, **headers: str) -> tuple[int, bytes]:
    async with ask(path, headers) as answer:
        return answer.status, b"".join([piece async for piece in answer.chunks()])


def app(*, ends: bool = True, breaks: bool = False, starts: bool = True) -> Any:
    async def serve(scope: MutableMapping[str, Any], receive: object, send: Send) -> None:
        if starts:
            await send({"type": "http.response.start", "status": 203, "headers": []})
        for _ in range(20):
            await send({"type": "http.response.body", "body": b"ab", "more_body": True})
        if breaks:
            raise RuntimeError("the store is away")
        told = [scope["path"], scope["raw_path"].decode(), scope["query_string"].decode()]
        told += [f"{name.decode()}={value.decode()}" for name, value in scope["headers"]]
        await send({"type": "http.response.body", "body": " ".join(told).encode(),
                    "more_body": not ends})  # fmt: skip

    return serve


def test_an_application_is_asked_as_a_server_would() -> None:
    found = asyncio.run(body(asking.inside(app()), "/npm/@s%2fone?x=1", Accept="a/b"))
    assert found == (203, b"ab" * 20 + b"/npm/@s/one /npm/@s%2fone x=1 host=localhost accept=a/b")


@pytest.mark.parametrize("fault", [{"breaks": True}, {"ends": False}, {"starts": False}])
def test_an_application_that_breaks_off_is_told(fault: dict[str, bool]) -> None:
    async def twice(ask: Asking) -> None:
        with pytest.raises(NetworkError, match="breaks off /x"):
            await body(ask, "/x")

    asyncio.run(twice(asking.inside(app(**fault))))


def test_an_answer_that_nobody_reads_to_its_end_is_let_go() -> None:
    async def leave() -> None:
        async with asking.inside(app())("/x", {}) as answer:
            assert answer.status == 203
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(leave())


def over(mirror: Mirror, context: ssl.SSLContext, path: str) -> tuple[int, bytes]:
    async def ask() -> tuple[int, bytes]:
        async with asking.elsewhere(mirror, context) as way:
            return await body(way, path, Accept="x/y")

    return asyncio.run(ask())


def test_a_mirror_elsewhere_gets_our_token_and_its_certificate_is_checked(tmp_path: Path) -> None:
    issuer = Issuer(tmp_path / "ca")
    with Registry(tls=issuer.server()) as there:
        there.token = "s3cret"
        there.script("/team/a", Answer(200, b"gz", {"Content-Encoding": "gzip"}))
        mirror = Mirror(f"{there.origin}/team", "s3cret")
        context = ssl.create_default_context(cafile=str(issuer.ca))
        assert over(mirror, context, "/a") == (200, b"gz")
        assert there.requests[0].headers["accept"] == "x/y"
        assert there.requests[0].authorization == "Bearer s3cret"
        with pytest.raises(NetworkError, match="is not reached"):
            over(mirror, ssl.create_default_context(), "/a")


def test_one_that_cuts_an_answer_is_told() -> None:
    with Registry() as there:
        there.script("/a", Answer(200, b"0123456789", cut=3))
        with pytest.raises(NetworkError, match="breaks off"):
            over(Mirror(there.origin), ssl.create_default_context(), "/a")
