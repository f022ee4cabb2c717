from collections.abc import Iterator
from pathlib import Path

import pytest

from pyodide_offline import digest as digests
from pyodide_offline.network.partial import AnotherPartError, Partial

WHOLE = b"0123456789"
STRONG = {"ETag": '"v1"'}


@pytest.fixture
def part(tmp_path: Path) -> Iterator[Partial]:
    with Partial(tmp_path / "file", digests.of_bytes(WHOLE, "sha512")) as made:
        yield made


def _broken_off(part: Partial, headers: dict[str, str]) -> None:
    part.begin(200, headers)
    part.write(WHOLE[:4])


def test_the_rest_is_asked_for_and_the_digests_are_of_all(part: Partial, tmp_path: Path) -> None:
    assert part.asking() == {}
    _broken_off(part, STRONG)
    assert part.asking() == {"Range": "bytes=4-", "If-Range": '"v1"'}
    part.begin(206, {"Content-Range": "bytes 4-9/10"})
    part.write(WHOLE[4:])
    assert part.digests() == (digests.of_bytes(WHOLE), digests.of_bytes(WHOLE, "sha512"))
    part.__exit__(None, None, None)
    assert (tmp_path / "file").read_bytes() == WHOLE


def test_an_answer_with_all_of_it_begins_afresh(part: Partial, tmp_path: Path) -> None:
    _broken_off(part, STRONG)
    part.begin(200, {"ETag": '"v2"'})
    assert part.size == 0
    part.write(b"other")
    assert part.digests()[0] == digests.of_bytes(b"other")
    assert part.asking()["If-Range"] == '"v2"'
    part.__exit__(None, None, None)
    assert (tmp_path / "file").read_bytes() == b"other"


@pytest.mark.parametrize(
    "headers",
    [{}, {"ETag": 'W/"v1"'}, {"ETag": "v1"}, {"ETag": '"v1"', "Accept-Ranges": "none"}],
)
def test_without_a_strong_validator_all_of_it_is_asked_for(
    part: Partial, headers: dict[str, str]
) -> None:
    _broken_off(part, headers)
    assert part.asking() == {}


@pytest.mark.parametrize("said", ["bytes 3-9/10", "bytes 5-9/10", "bytes */10", "lines 4-9/10", ""])
def test_another_part_than_asked_for_is_not_taken(part: Partial, said: str) -> None:
    _broken_off(part, STRONG)
    with pytest.raises(AnotherPartError):
        part.begin(206, {"Content-Range": said})
    assert (part.size, part.asking()) == (0, {})


def test_a_part_that_nobody_asked_for_counts_only_from_the_start(part: Partial) -> None:
    part.begin(206, {"Content-Range": "bytes 0-9/10"})
    with pytest.raises(AnotherPartError):
        part.begin(206, {"Content-Range": "bytes 4-9/10"})


def test_without_a_wanted_digest_there_is_only_the_sha256(tmp_path: Path) -> None:
    with Partial(tmp_path / "file", None) as part:
        part.begin(200, {})
        part.write(b"x")
    assert part.digests() == (digests.of_bytes(b"x"), None)


def test_the_beginning_is_that_of_the_last_whole_answer(part: Partial) -> None:
    part.begin(200, {})
    part.write(b"<html>" + b"x" * 1000)
    part.write(b"more")
    assert part.beginning == b"<html>" + b"x" * 506
    part.restart()
    part.write(b"01")
    part.write(b"23")
    assert part.beginning == b"0123"
