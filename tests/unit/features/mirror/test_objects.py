"""What a store says badly, by a scripted server; the real one is in tests/e2e."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pyodide_offline.errors import DepotDownError, SettingsError
from pyodide_offline.features.mirror.account import Account, account
from pyodide_offline.features.mirror.depot import SMALL
from pyodide_offline.features.mirror.objects import ObjectDepot
from pyodide_offline.features.mirror.turnstile import Turnstile

_KEYS = {"AWS_ACCESS_KEY_ID": "the-key", "AWS_SECRET_ACCESS_KEY": "the-secret"}


@contextmanager
def _store(
    status: int, body: bytes = b"", length: int | None = None, etag: str = '"e"'
) -> Iterator[tuple[Account, list[tuple[str, str, dict[str, str]]]]]:
    """Answer each request with the same."""
    asked: list[tuple[str, str, dict[str, str]]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked.append((self.command, self.path, dict(self.headers)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body) if length is None else length))
            self.send_header("ETag", etag)
            self.send_header("Last-Modified", "Thu, 26 Nov 2026 00:00:00 GMT")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
            self.close_connection = length is not None

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer  # noqa: N815

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        url = f"s3://bucket/pre?endpoint=http://127.0.0.1:{server.server_port}"
        yield account(url, _KEYS), asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "SignatureDoesNotMatch", r"403 Forbidden \(SignatureDoesNotMatch\)"),
        (500, "InternalError", "500 Internal Server Error"),
    ],
    ids=["keys", "failure"],
)
def test_refusals_are_told_without_keys(status: int, code: str, said: str) -> None:
    with _store(status, f"<Error><Code>{code}</Code></Error>".encode()) as (found, _):
        depot = ObjectDepot(found)
        for call in (lambda: depot.get("refs/x"), lambda: depot.create("refs/x", b"")):
            with pytest.raises(DepotDownError, match=said) as raised:
                asyncio.run(_awaited(call()))
            assert "the-" not in str(raised.value)


def test_a_bucket_that_is_not_there_is_told() -> None:
    with (
        _store(404, b"<Error><Code>NoSuchBucket</Code></Error>") as (found, _),
        pytest.raises(DepotDownError, match="no such bucket"),
    ):
        asyncio.run(ObjectDepot(found).create("refs/x", b""))


def test_what_is_replaced_but_gone_is_a_lost_race() -> None:
    with _store(404, b"<Error><Code>NoSuchKey</Code></Error>") as (found, _):
        assert asyncio.run(ObjectDepot(found).swap("refs/x", b"", '"old"')) is None


def test_a_part_is_never_the_whole() -> None:
    with _store(200, b"x" * 100, length=1000) as (found, _):
        depot = ObjectDepot(found)

        async def read() -> None:
            async for _ in depot.read("blobs/x"):
                pass

        for call in (read, lambda: depot.get("refs/x")):
            with pytest.raises(DepotDownError):
                asyncio.run(_awaited(call()))


def test_too_much_for_a_reference_is_refused() -> None:
    with (
        _store(200, b"", length=SMALL + 1) as (found, _),
        pytest.raises(DepotDownError, match="too much"),
    ):
        asyncio.run(ObjectDepot(found).get("refs/x"))


def test_writes_carry_their_condition_and_a_checksum() -> None:
    with _store(200) as (found, asked):
        depot = ObjectDepot(found)

        async def play() -> None:
            assert await depot.create("refs/a=40b", b"1")
            assert await depot.swap("refs/a=40b", b"2", '"old"') == '"e"'
            assert await depot.swap("refs/a=40b", b"3", None) == '"e"'

        asyncio.run(play())
    headers = [{name.lower(): value for name, value in one[2].items()} for one in asked]
    assert [one[1] for one in asked] == ["/bucket/pre/refs/a%3D40b"] * 3
    assert [one.get("if-none-match") for one in headers] == ["*", None, "*"]
    assert [one.get("if-match") for one in headers] == [None, '"old"', None]
    assert all("x-amz-checksum-sha256" in one for one in headers)


def test_a_single_front_asks_before_it_writes(tmp_path: Path) -> None:
    with _store(200) as (found, asked):
        depot = ObjectDepot(found, Turnstile(tmp_path))

        async def play() -> None:
            assert not await depot.create("refs/x", b"1")
            assert await depot.swap("refs/x", b"1", None) is None
            assert await depot.swap("refs/x", b"1", '"e"') == '"e"'

        asyncio.run(play())
    assert [one[0] for one in asked] == ["HEAD", "HEAD", "HEAD", "PUT"]
    assert "if-match" not in {name.lower() for name in asked[3][2]}


def test_nobody_there_is_told_soon() -> None:
    with _store(200) as (found, _):
        pass
    with pytest.raises(DepotDownError, match="nothing listens there"):
        asyncio.run(ObjectDepot(found).head("refs/x"))


def test_a_ca_file_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="AWS_CA_BUNDLE"):
        ObjectDepot(Account("bucket", ca=tmp_path / "none"))


async def _awaited(call: object) -> None:
    await call  # type: ignore[misc]
