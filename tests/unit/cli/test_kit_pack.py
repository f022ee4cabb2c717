"""`pyodide-offline kit pack` as a person meets it."""

import pytest

from pyodide_offline.cli import boundary
from pyodide_offline.features.kit import pack
from pyodide_offline.kits import signing
from pyodide_offline.kits.manifest import Manifest, Part

WORKER = 'main = "src/entry.py"\ncompatibility_date = "2026-11-17"\n'


def test_an_unknown_target_is_answered_with_the_known_ones(program, tmp_path):
    (tmp_path / "wrangler.toml").write_text(WORKER)
    done = program(
        "kit", "pack", str(tmp_path), "-o", str(tmp_path / "x.kit"), "--target", "linux-mips"
    )
    assert done.returncode == 11
    assert "linux-arm64" in done.stderr
    assert not (tmp_path / "x.kit").exists()


def test_a_folder_without_a_worker_is_an_error(program, tmp_path):
    (tmp_path / "empty").mkdir()
    done = program("kit", "pack", str(tmp_path / "empty"), "-o", str(tmp_path / "x.kit"))
    assert done.returncode == 8
    assert "no wrangler configuration" in done.stderr


@pytest.mark.parametrize("damage", ["missing", "text"])
def test_a_key_that_cannot_be_read_is_told_before_anything_is_fetched(program, tmp_path, damage):
    (tmp_path / "wrangler.toml").write_text(WORKER)
    key = tmp_path / "kit.key"
    if damage == "text":
        key.write_text("not a key\n")
    done = program("kit", "pack", str(tmp_path), "-o", str(tmp_path / "x.kit"), "--sign", str(key))
    assert done.returncode == 13
    assert str(key) in done.stderr


def test_a_wrong_passphrase_of_the_variable_is_not_asked_for_again(program, tmp_path, monkeypatch):
    (tmp_path / "wrangler.toml").write_text(WORKER)
    signing.save(signing.generate(), tmp_path / "kit.key", "right")
    monkeypatch.setenv("PYODIDE_OFFLINE_KIT_PASSPHRASE", "wrong")
    arguments = ["-o", str(tmp_path / "x.kit"), "--sign", str(tmp_path / "kit.key")]
    done = program("kit", "pack", str(tmp_path), *arguments)
    assert done.returncode == 13
    assert "cannot be opened" in done.stderr


@pytest.mark.parametrize("native", [False, True])
def test_what_comes_along_is_as_ordered(tmp_path, monkeypatch, native):
    (tmp_path / "wrangler.toml").write_text(WORKER)
    for name in ("STORE", "CACHE"):
        monkeypatch.setenv(f"PYODIDE_OFFLINE_{name}_DIR", str(tmp_path / name))
    orders = []

    def packed(_session, _target, order, **_):
        orders.append(order)
        return Manifest("x", 1, (), parts={"kit.pyz": Part(1, "0" * 64)})

    monkeypatch.setattr(pack, "pack", packed)
    (tmp_path / "x.kit").touch()
    words = ["kit", "pack", str(tmp_path), "-o", str(tmp_path / "x.kit")]
    more = ["--native-python", "--no-snapshot"] if native else []
    with pytest.raises(SystemExit) as ended:
        boundary.guarded([*words, *more])
    assert ended.value.code == 0
    assert [(one.native, one.memory) for one in orders] == [(native, not native)]
