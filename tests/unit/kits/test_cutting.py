"""A kit's bytes to one file or to volumes."""

from dataclasses import replace
from pathlib import Path

import pytest

from pyodide_offline.errors import IntegrityError, SettingsError
from pyodide_offline.kits import cutting, volumes, writing
from pyodide_offline.kits.volumes import HEAD
from pyodide_offline.kits.writing import write
from tests.peers import kits


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    target = tmp_path / "source" / "my.kit"
    kits.kit(target)
    return target


def test_a_plan_covers_every_byte_evenly_within_the_size() -> None:
    for total, size in ((100_000, 10_000), (5, 2000), (9488, 10_000), (1 << 30, 700_000_000)):
        planned = cutting.plan("kit", total, size)
        assert sum(one.size for one in planned) == total
        assert max(one.size for one in planned) + HEAD <= size
        assert max(one.size for one in planned) - min(one.size for one in planned) < len(planned)
        assert [one.number for one in planned] == list(range(1, planned[0].count + 1))


def test_a_size_that_holds_nothing_or_needs_a_thousand_media_is_refused() -> None:
    with pytest.raises(SettingsError, match="holds nothing"):
        cutting.plan("kit", 1000, 600)
    with pytest.raises(SettingsError, match="more than 999"):
        cutting.plan("kit", 10_000_000, 2000)


def test_volumes_written_at_once_are_those_of_a_whole_kit(kit: Path, tmp_path: Path) -> None:
    manifest, blobs = kits.contents(tmp_path / "files")
    write(tmp_path / "packed" / "my.kit", manifest, blobs, keys=[kits.key()], volume_size=20_000)
    made = writing.split(kit, tmp_path / "split" / "my.kit", 20_000)
    packed = sorted((tmp_path / "packed").iterdir())
    assert [path.name for path in packed] == [path.name for path in made]
    assert [path.read_bytes() for path in packed] == [path.read_bytes() for path in made]
    writing.join(packed, tmp_path / "joined")
    assert (tmp_path / "joined").read_bytes() == kit.read_bytes()


def test_stale_volumes_are_removed_and_nothing_else(kit: Path, tmp_path: Path) -> None:
    target = tmp_path / "o[u]t" / "my.kit"
    many = writing.split(kit, target, 15_000)
    target.with_name("my.kit.999").write_text("not a volume")
    target.with_name("myXkit.998").write_bytes(many[0].read_bytes())
    few = writing.split(kit, target, 40_000)
    assert len(few) < len(many)
    others = [target.with_name("my.kit.999"), target.with_name("myXkit.998")]
    assert sorted(target.parent.iterdir()) == sorted([*few, *others])


def test_nothing_is_there_when_writing_ends_in_the_middle(kit: Path, tmp_path: Path) -> None:
    old = writing.split(kit, tmp_path / "my.kit", 20_000)
    before = [path.read_bytes() for path in old]
    planned = cutting.plan("other", 30_000, 10_000)

    def cut(size: int, error: type[BaseException] | None = None) -> None:
        with cutting.in_volumes(tmp_path / "my.kit", planned) as sink:
            sink.write(bytes(size))
            if error:
                raise error

    with pytest.raises(KeyboardInterrupt):
        cut(25_000, KeyboardInterrupt)
    with pytest.raises(IntegrityError, match="shorter while"):
        cut(29_999)
    with pytest.raises(IntegrityError, match="longer while"):
        cut(30_001)
    assert [path.read_bytes() for path in old] == before
    assert sorted(path for path in tmp_path.iterdir() if path.is_file()) == old


def test_each_volume_says_what_it_is(kit: Path, tmp_path: Path) -> None:
    made = writing.split(kit, tmp_path / "my.kit", 20_000)
    found = [volumes.read(path) for path in made]
    assert {(one.kit, one.count, one.total) for one in found if one} == {
        (found[0].kit, len(made), kit.stat().st_size)  # type: ignore[union-attr]
    }
    assert found[0] != replace(found[0], number=2)  # type: ignore[type-var]
