"""Answers: ETag, one range, HEAD, what grows, and bodies that end short."""

import asyncio
import io
import threading

import pytest

from pyodide_offline import digest as digests
from pyodide_offline.errors import IntegrityError
from pyodide_offline.features.mirror.events import Events
from pyodide_offline.features.mirror.growing import Growing, Spare
from pyodide_offline.features.mirror.hits import SMALL, Hits, warning
from pyodide_offline.features.mirror.wanted import Held
from tests.peers.fronts import Got, ask, played

BODY = bytes(range(256)) * 1000


@pytest.fixture(params=[SMALL, len(BODY)], ids=["small", "large"])
def held(request, tmp_path):
    path = tmp_path / "blob"
    path.write_bytes(BODY[: request.param])
    digest = digests.of_file(path)
    return Held(path, digest, request.param, "application/x", digest.sri)


def app(file, accel=None):
    hits = Hits(Events(io.StringIO()), accel)

    async def answer(scope, receive, send):
        if isinstance(file, Held):
            await hits.held(scope, send, "npm", file)
        else:
            await hits.growing(scope, receive, send, "npm", file, "application/x")

    return answer


def asked(file, **how):
    async def scene():
        found.append(await ask(app(file, how.pop("accel", None)), "/x", **how))

    found: list[Got] = []
    played(scene)
    return found[0]


def test_whole(held):
    got = asked(held)
    assert (got.status, got.body, got.whole) == (200, held.path.read_bytes(), True)
    assert got.headers["etag"] == f'"{held.integrity}"'
    assert "immutable" in got.headers["cache-control"]
    assert bool(got.path) == (held.size > SMALL)


def test_whole_from_a_server_that_sends_no_paths(held):
    assert asked(held, extensions=False).body == held.path.read_bytes()


def test_head(held):
    got = asked(held, method="HEAD")
    assert (got.status, got.body, got.headers["content-length"]) == (200, b"", str(held.size))


@pytest.mark.parametrize("tag", ['"{}"', 'W/"{}"', '"x", "{}"', "*"])
def test_not_changed(held, tag):
    got = asked(held, headers={"if-none-match": tag.format(held.integrity)})
    assert (got.status, got.body) == (304, b"")


@pytest.mark.parametrize(
    ("asking", "start", "stop"),
    [("bytes=0-9", 0, 10), ("bytes=10-", 10, None), ("bytes=-7", -7, None), ("bytes=5-5", 5, 6)],
)
def test_a_range(held, asking, start, stop):
    got = asked(held, headers={"range": asking})
    body = held.path.read_bytes()
    assert (got.status, got.body, got.whole) == (206, body[start:stop], True)
    first = start if start >= 0 else held.size + start
    last = first + len(got.body) - 1
    assert got.headers["content-range"] == f"bytes {first}-{last}/{held.size}"


@pytest.mark.parametrize(
    "asking",
    ["bytes=0-1,4-5", "bytes=-", "bytes=9-5", "lines=0-1", "bytes=x-", "bytes=" + "1" * 99 + "-"],
)
def test_ranges_that_are_ignored(held, asking):
    assert asked(held, headers={"range": asking}).status == 200


def test_a_range_beyond_the_end(held):
    got = asked(held, headers={"range": f"bytes={held.size}-"})
    assert (got.status, got.body) == (416, b"")
    assert got.headers["content-range"] == f"bytes */{held.size}"


def test_a_range_of_something_else_is_the_whole(held):
    headers = {"range": "bytes=0-1", "if-range": '"other"'}
    assert asked(held, headers=headers).status == 200
    headers["if-range"] = f'"{held.integrity}"'
    assert asked(held, headers=headers).status == 206


def test_nginx_is_told_where_it_lies(held, tmp_path):
    got = asked(held, accel={tmp_path: "/held/"})
    assert (got.status, got.body) == (200, b"")
    assert got.headers["x-accel-redirect"] == "/held/blob"
    assert "content-length" not in got.headers
    elsewhere = asked(held, accel={tmp_path / "other": "/held/"})
    assert elsewhere.body


def test_a_small_file_that_was_changed_is_not_kept_in_memory(tmp_path):
    path = tmp_path / "blob"
    path.write_bytes(b"wrong")
    digest = digests.of_bytes(b"right")
    hits = Hits(Events(io.StringIO()))
    assert hits._from_memory(Held(path, digest, 5, "x/x", digest.sri)) is None


def growing(tmp_path, expected):
    return Growing(tmp_path / "new", label="it", expected=expected, limit=1 << 30, spare=Spare())


def fed(file, body, total):
    def write():
        try:
            file.begin(total)
            for place in range(0, len(body), 7000):
                file.append(body[place : place + 7000])
            file.finish()
        except IntegrityError:
            pass

    thread = threading.Thread(target=write)
    thread.start()
    return thread


def test_what_grows_is_sent_as_it_grows(tmp_path):
    async def scene():
        file = growing(tmp_path, digests.of_bytes(BODY))
        asking = [asyncio.create_task(ask(app(file), "/x")) for _ in range(5)]
        asking.append(asyncio.create_task(ask(app(file), "/x", headers={"range": "bytes=5-9"})))
        asking.append(asyncio.create_task(ask(app(file), "/x", method="HEAD")))
        fed(file, BODY, len(BODY))
        *whole, part, head = await asyncio.gather(*asking)
        assert all((one.status, one.body, one.whole) == (200, BODY, True) for one in whole)
        assert (part.status, part.body) == (206, BODY[5:10])
        assert (head.status, head.body) == (200, b"")
        assert head.headers["content-length"] == str(len(BODY))

    played(scene)


def test_a_wrong_body_ends_short(tmp_path):
    async def scene():
        file = growing(tmp_path, digests.of_bytes(BODY))
        task = asyncio.create_task(ask(app(file), "/x"))
        fed(file, b"x" * len(BODY), len(BODY))
        with pytest.raises(IntegrityError):
            await task

    played(scene)


def test_a_client_that_goes_away_is_not_sent_to(tmp_path):
    async def scene():
        file = growing(tmp_path, digests.of_bytes(BODY))
        file.begin(len(BODY))
        await asyncio.to_thread(file.append, BODY[:200_000])
        gone = asyncio.Event()
        task = asyncio.create_task(ask(app(file), "/x", hang_up=gone))
        await asyncio.sleep(0.05)
        gone.set()
        got = await task
        assert got.body
        assert not got.whole

    played(scene)


def test_a_warning_is_one_line():
    assert b"\n" not in warning('a\n"b"\x00é')[1]
