"""Downloads that break off, and go on, against a real server on loopback."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pyodide_offline import digest as digests
from pyodide_offline.errors import IntegrityError, NetworkError
from pyodide_offline.network import fetch
from pyodide_offline.session import Session
from tests.conftest import Recorder
from tests.peers.registry import Answer, Registry

BODY = bytes(range(256)) * 400
GOOD = digests.of_bytes(BODY, "sha512")


@pytest.fixture
def peer() -> Iterator[Registry]:
    with Registry() as registry:
        yield registry


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)


def _download(session: Session, url: str, target: Path, **more: object) -> digests.Digest:
    settings: dict[str, object] = {"label": "a file", "digest": GOOD, "max_bytes": 1 << 20}
    return fetch.download(session, url, target, **(settings | more))  # type: ignore[arg-type]


def test_a_body_that_breaks_off_is_fetched_again_whole(
    session: Session, peer: Registry, tmp_path: Path, progress: Recorder
) -> None:
    peer.script("/file", Answer(200, BODY, cut=5000), Answer(200, BODY))
    _download(session, f"{peer.origin}/file", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == BODY
    assert "trying again" in progress.notes[0]


def test_a_body_that_always_breaks_off_is_a_network_error_and_leaves_no_file(
    session: Session, peer: Registry, tmp_path: Path
) -> None:
    peer.script("/file", Answer(200, BODY, cut=5000))
    with pytest.raises(NetworkError, match=r"connection to 127\.0\.0\.1:\d+ broke"):
        _download(session, f"{peer.origin}/file", tmp_path / "got")
    assert not (tmp_path / "got").exists()
    assert len(peer.requests) == 3


def _rest(begin: int, **more: object) -> Answer:
    said = {"Content-Range": f"bytes {begin}-{len(BODY) - 1}/{len(BODY)}"}
    return Answer(206, BODY[begin:], said, **more)  # type: ignore[arg-type]


def test_a_body_that_breaks_off_goes_on_where_it_was(
    session: Session, peer: Registry, tmp_path: Path, progress: Recorder
) -> None:
    peer.script("/file", Answer(200, BODY, {"ETag": '"v1"'}, cut=5000), _rest(5000))
    sha256 = _download(session, f"{peer.origin}/file", tmp_path / "got")
    assert sha256 == digests.of_bytes(BODY)
    assert (tmp_path / "got").read_bytes() == BODY
    again = peer.requests[1].headers
    assert (again["range"], again["if-range"]) == ("bytes=5000-", '"v1"')
    assert [task.done for task in progress.tasks["a file"]] == [5000, len(BODY)]
    assert progress.tasks["a file"][1].total == len(BODY)


def test_a_file_that_changed_meanwhile_is_fetched_from_its_start(
    session: Session, peer: Registry, tmp_path: Path
) -> None:
    old = Answer(200, b"old" * 5000, {"ETag": '"v1"'}, cut=5000)
    peer.script("/file", old, Answer(200, BODY, {"ETag": '"v2"'}))
    _download(session, f"{peer.origin}/file", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == BODY


@pytest.mark.parametrize("bad", [_rest(4000), Answer(206, BODY[5000:]), Answer(416)])
def test_a_rest_that_does_not_fit_is_not_put_behind(
    session: Session, peer: Registry, tmp_path: Path, bad: Answer
) -> None:
    peer.script("/file", Answer(200, BODY, {"ETag": '"v1"'}, cut=5000), bad, Answer(200, BODY))
    _download(session, f"{peer.origin}/file", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == BODY
    assert "range" not in peer.requests[2].headers


def test_a_rest_of_other_bytes_is_found_out_by_the_digest_of_all(
    session: Session, peer: Registry, tmp_path: Path
) -> None:
    wrong = replace(_rest(5000), body=bytes(len(BODY) - 5000))
    peer.script("/file", Answer(200, BODY, {"ETag": '"v1"'}, cut=5000), wrong)
    with pytest.raises(IntegrityError):
        _download(session, f"{peer.origin}/file", tmp_path / "got")
    assert not (tmp_path / "got").exists()


def test_as_long_as_it_gets_on_a_line_that_breaks_is_not_given_up(
    session: Session, peer: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "GAIN", 10_000)
    tag = {"ETag": '"v1"'}
    pieces = [_rest(begin, cut=10_000) for begin in range(10_000, 100_000, 10_000)]
    peer.script("/file", Answer(200, BODY, tag, cut=10_000), *pieces, _rest(100_000))
    _download(session, f"{peer.origin}/file", tmp_path / "got")
    assert len(peer.requests) == 11
    assert (tmp_path / "got").read_bytes() == BODY


def test_a_longest_length_counts_all_parts(
    session: Session, peer: Registry, tmp_path: Path
) -> None:
    chunked = {"Transfer-Encoding": "chunked", "Content-Range": f"bytes 5000-9999/{len(BODY)}"}
    rest = b"1388\r\n" + BODY[5000:10_000] + b"\r\n0\r\n\r\n"
    peer.script("/file", Answer(200, BODY, {"ETag": '"v1"'}, cut=5000), Answer(206, rest, chunked))
    with pytest.raises(IntegrityError, match="longer than"):
        _download(session, f"{peer.origin}/file", tmp_path / "got", max_bytes=9000)
