"""The door to upstreams, against a real server: retries, resuming, redirects, validators."""

import io

import pytest

from pyodide_offline import digest as digests
from pyodide_offline.errors import IntegrityError, NetworkError, RegistryError
from pyodide_offline.features.mirror.events import Events
from pyodide_offline.features.mirror.growing import Growing, Spare
from pyodide_offline.features.mirror.upstream import (
    Reply,
    Source,
    Upstream,
    permit_any,
    permit_origins,
)
from pyodide_offline.network import fetch
from tests.peers.fronts import played
from tests.peers.registry import BLOCK_PAGE, Answer, Registry

BODY = bytes(range(256)) * 1024
DIGEST = digests.of_bytes(BODY)


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(fetch, "PAUSES", (0.01, 0.02))


def fetched(session, tmp_path, *answers, url="/f"):
    """Fetch what a server says in turn; returns the bytes, the reply and the requests."""
    found = []

    async def scene():
        with Registry() as server:
            server.script("/f", *answers)
            server.script("/moved", Answer(302, headers={"Location": "/f"}))
            upstream = Upstream(session, Events(io.StringIO()), permit_any)
            file = Growing(
                tmp_path / "new", label="it", expected=DIGEST, limit=1 << 20, spare=Spare()
            )
            try:
                source = Source(server.origin + url, {"Authorization": "Bearer x"}, checked=True)
                reply = await upstream.fetch("npm", source, file)
                file.finish()
                found.extend([file.file.read_bytes(), reply, server.requests])
            finally:
                await upstream.close()

    played(scene)
    return found


def test_a_file(session, tmp_path):
    headers = {"ETag": '"e"', "Content-Type": "a/b"}
    body, reply, requests = fetched(session, tmp_path, Answer(200, BODY, headers))
    assert body == BODY
    assert reply == Reply(200, "a/b", '"e"')
    assert requests[0].authorization == "Bearer x"
    assert requests[0].headers["accept-encoding"] == "identity"


def test_a_redirect(session, tmp_path):
    body, _, requests = fetched(session, tmp_path, Answer(200, BODY), url="/moved")
    assert body == BODY
    assert [one.path for one in requests] == ["/moved", "/f"]


def test_an_address_that_must_not_be_asked_gets_no_request(session):
    asked = []

    def inside(url, address):
        asked.append((url, address))
        return "It is inside."

    async def scene():
        with Registry() as server:
            server.script("/f", Answer(200, BODY))
            upstream = Upstream(session, Events(io.StringIO()), permit_any, peer=inside)
            try:
                with pytest.raises(NetworkError, match="is not asked") as caught:
                    await upstream.read("npm", Source(f"{server.origin}/f"), limit=1 << 20)
            finally:
                await upstream.close()
            assert "It is inside." in str(caught.value)
            assert set(asked) == {(f"{server.origin}/", "127.0.0.1")}
            assert server.requests == []

    played(scene)


def test_a_body_that_broke_off_goes_on(session, tmp_path):
    half = len(BODY) // 2
    part = {"Content-Range": f"bytes {half}-{len(BODY) - 1}/{len(BODY)}"}
    body, _, requests = fetched(
        session, tmp_path, Answer(200, BODY, cut=half), Answer(206, BODY[half:], part)
    )
    assert body == BODY
    assert requests[1].headers["range"].startswith("bytes=")


def test_a_server_without_ranges_sends_it_all_again(session, tmp_path):
    body, _, _ = fetched(session, tmp_path, Answer(200, BODY, cut=70_000), Answer(200, BODY))
    assert body == BODY


def test_another_file_the_second_time_is_refused(session, tmp_path):
    other = bytes(len(BODY))
    with pytest.raises(IntegrityError, match="another it than before"):
        fetched(session, tmp_path, Answer(200, BODY, cut=70_000), Answer(200, other))


def test_another_part_than_asked_for_is_refused(session, tmp_path):
    part = {"Content-Range": f"bytes 0-9/{len(BODY)}"}
    with pytest.raises(NetworkError, match="another part"):
        fetched(session, tmp_path, Answer(200, BODY, cut=70_000), Answer(206, BODY[:10], part))


def test_what_fails_for_a_moment_is_tried_again(session, tmp_path):
    body, _, requests = fetched(session, tmp_path, Answer(503), Answer(429), Answer(200, BODY))
    assert (body, len(requests)) == (BODY, 3)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(404), RegistryError),
        (Answer(403), RegistryError),
        (Answer(503), RegistryError),
        (Answer(200, BODY[:-1]), IntegrityError),
        (Answer(200, BODY + b"x"), IntegrityError),
        (Answer(200, bytes(2 << 20)), IntegrityError),
        (Answer(200, BLOCK_PAGE, {"Content-Type": "text/html"}), NetworkError),
        (Answer(302, headers={"Location": "http://elsewhere.example/"}), NetworkError),
    ],
    ids=["404", "403", "503", "short", "wrong", "long", "page", "redirect"],
)
def test_what_is_refused(session, tmp_path, answer, kind):
    with pytest.raises(kind) as caught:
        fetched(session, tmp_path, answer)
    if kind is RegistryError:
        assert caught.value.facts["status"] == answer.status


def read(session, *answers, known=None, limit=1000):
    found: list[Reply] = []
    requests = []

    async def scene():
        with Registry() as server:
            server.script("/i", *answers)
            upstream = Upstream(session, Events(io.StringIO()), permit_any)
            try:
                source = Source(f"{server.origin}/i")
                found.append(await upstream.read("npm", source, limit=limit, known=known))
            finally:
                requests.extend(server.requests)
                await upstream.close()

    played(scene)
    return found[0], requests


def test_an_index_with_validators(session):
    headers = {"ETag": '"e"', "Last-Modified": "Thu, 01 Jan 1970 00:00:00 GMT"}
    reply, _ = read(session, Answer(200, b"{}", headers))
    assert (reply.body, reply.etag) == (b"{}", '"e"')
    again, requests = read(session, Answer(304), known=reply)
    assert again.status == 304
    assert requests[0].headers["if-none-match"] == '"e"'


def test_an_index_that_is_too_long(session):
    with pytest.raises(IntegrityError, match="longer"):
        read(session, Answer(200, bytes(1001)))


def test_what_is_not_permitted_is_not_asked(session):
    async def scene():
        with Registry() as server:
            server.script("/away", Answer(302, headers={"Location": f"{server.origin}/x"}))
            permit = permit_origins(["http://127.0.0.1:1/"])
            upstream = Upstream(session, Events(io.StringIO()), permit)
            with pytest.raises(NetworkError, match="is not asked"):
                await upstream.read("npm", Source(f"{server.origin}/away"), limit=10)
            assert server.requests == []
            await upstream.close()

    played(scene)


def test_connections_are_used_again(session):
    async def scene():
        with Registry() as server:
            server.script("/i", Answer(200, b"x"))
            upstream = Upstream(session, Events(io.StringIO()), permit_any)
            for _ in range(3):
                await upstream.read("npm", Source(f"{server.origin}/i"), limit=10)
            assert sum(len(one) for one in upstream._idle.values()) == 1
            await upstream.close()

    played(scene)
