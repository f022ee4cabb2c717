"""What clients hear: short JSON, and nothing of the mirror's machine."""

import asyncio
import json

import pytest

from pyodide_offline import errors
from pyodide_offline.features.mirror import replies
from pyodide_offline.features.mirror.replies import Reply


def _sent(reply, method="GET"):
    messages = []

    async def send(message):
        messages.append(message)

    asyncio.run(reply.send({"method": method}, send))
    return messages


def test_a_head_gets_the_length_and_no_body():
    start, body = _sent(Reply(200, b"hello"), "HEAD")
    assert (b"content-length", b"5") in start["headers"]
    assert body["body"] == b""
    assert _sent(Reply(200, b"hello"))[1]["body"] == b"hello"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.DepotDownError("s3 key at /var/secret"), 503),
        (errors.StorageError("The disk that holds /var/secret is full."), 503),
        (errors.ForbiddenError("No."), 403),
        (errors.OfflineError("No."), 404),
        (errors.PinChangedError("left-pad 1.0.0 has changed."), 502),
        (errors.IntegrityError("No."), 502),
        (errors.NetworkError("No."), 502),
        (errors.ProjectError("/var/project"), 500),
    ],
)
def test_an_error_has_a_status_and_its_code(error, status):
    reply = replies.of_error(error)
    assert reply.status == status
    told = json.loads(reply.body)["error"]
    assert told["code"] == error.code == reply.code
    assert "/var/secret" not in told["what"]


def test_no_secret_is_told():
    reply = replies.of_error(errors.NetworkError("https://me:hunter2@host/ failed."))
    assert b"hunter2" not in reply.body


def test_headers_are_joined_and_listed():
    scope = {"headers": [(b"accept", b"a"), (b"host", b"h"), (b"accept", b"b")]}
    assert replies.header(scope, b"accept") == "a, b"
    assert replies.headers(scope, b"accept") == [b"a", b"b"]
    assert replies.header(scope, b"range") == ""
