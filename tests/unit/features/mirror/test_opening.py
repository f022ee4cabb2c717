import asyncio
from pathlib import Path

import pytest

from pyodide_offline.errors import DepotDownError, SettingsError, UnsupportedError
from pyodide_offline.features.mirror import opening
from pyodide_offline.features.mirror.depot import Depot
from pyodide_offline.features.mirror.turnstile import Turnstile
from tests.peers.depots import MemoryDepot


class AllWin(MemoryDepot):
    """Answers as a store without conditional writes: well, to everyone."""

    async def create(self, key: str, source: bytes | Path) -> bool:
        self._put(key, source if isinstance(source, bytes) else source.read_bytes())
        return True


class LastWins(MemoryDepot):
    """Creates right, and replaces whatever is there."""

    async def swap(self, key: str, value: bytes, _: str | None) -> str | None:
        return self._put(key, value)


class Slow(MemoryDepot):
    """Has no answer for some, so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    async def create(self, key: str, source: bytes | Path) -> bool:
        won = await super().create(key, source)
        self.times -= 1
        if self.times >= 0:
            raise DepotDownError("It does not answer in time.")
        return won


class Races(MemoryDepot):
    """Counts what was created."""

    created = 0

    async def create(self, key: str, source: bytes | Path) -> bool:
        self.created += 1
        return await super().create(key, source)


def _given(monkeypatch: pytest.MonkeyPatch, depot: Depot) -> None:
    monkeypatch.setattr(opening, "_made", lambda *_: depot)


@pytest.mark.parametrize("kind", ["path", "url", "url with a space"])
def test_a_folder_by_path_or_url(tmp_path: Path, kind: str) -> None:
    url = {
        "path": str(tmp_path / "depot"),
        "url": f"file://{tmp_path}/depot",
        "url with a space": f"file://{tmp_path}/de%20pot",
    }[kind]

    async def play() -> None:
        depot = await opening.opened(url, {}, tmp_path)
        assert await depot.create("refs/x", b"1")
        assert [one.key async for one in depot.list("leases/")] == []
        await depot.close()

    asyncio.run(play())
    name = "de pot" if "space" in kind else "depot"
    assert (tmp_path / name / "v1" / "refs" / "x").read_bytes()[65:] == b"1"


@pytest.mark.parametrize("depot", [AllWin(), LastWins()], ids=["create", "swap"])
def test_a_store_that_lets_all_win_is_not_shared(
    depot: MemoryDepot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _given(monkeypatch, depot)
    with pytest.raises(UnsupportedError, match="Of 6 who") as raised:
        asyncio.run(opening.opened("s3://x", {}, tmp_path))
    assert opening.SINGLE in raised.value.next_step
    assert depot.values == {}


def test_a_single_front_asks_nothing_and_passes_a_turnstile(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given: list[Turnstile | None] = []

    def made(url: str, environ: object, folder: Path, turnstile: Turnstile | None) -> Depot:
        given.append(turnstile)
        return AllWin()

    monkeypatch.setattr(opening, "_made", made)
    asyncio.run(opening.opened("s3://x", {}, tmp_path / "front", single=True))
    assert isinstance(given[0], Turnstile)
    with given[0].passing("x"):
        pass


def test_the_first_front_of_a_day_tries_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    depot = Races()
    _given(monkeypatch, depot)

    async def play() -> None:
        for _ in range(3):
            await opening.opened("s3://x", {}, tmp_path)
        assert depot.created == 6
        (key,) = depot.values
        for old in (b'{"tried": 1}', b"nonsense", b"[]"):
            depot.values[key] = (old, "old")
            before = depot.created
            await opening.opened("s3://x", {}, tmp_path)
            assert depot.created == before + 6

    asyncio.run(play())


@pytest.mark.parametrize("times", [1, 6, 7], ids=["the winner", "all", "all and one"])
def test_a_store_that_is_slow_to_answer_some_is_tried_again(
    times: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _given(monkeypatch, Slow(times))
    asyncio.run(opening.opened("s3://x", {}, tmp_path))


def test_a_store_that_is_down_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    depot = MemoryDepot()
    depot.down = True
    _given(monkeypatch, depot)
    with pytest.raises(DepotDownError):
        asyncio.run(opening.opened("s3://x", {}, tmp_path))


def test_a_registry_is_for_a_single_front(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="shared") as raised:
        asyncio.run(opening.opened("oci://user:secret@host/x", {}, tmp_path))
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [("gopher://x/y", "kind"), ("file://host/path", "another machine"), ("file://", "no folder")],
    ids=["kind", "host", "nothing"],
)
def test_urls_that_cannot_be(url: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=said):
        asyncio.run(opening.opened(url, {}, tmp_path))


def test_labels_hold_no_login() -> None:
    assert opening.label("s3://key:secret@bucket/x?endpoint=y") == "s3://bucket/x"
    assert opening.label("/srv/depot") == "/srv/depot"
