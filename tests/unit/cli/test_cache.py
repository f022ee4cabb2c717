"""`pyodide-offline cache` as a person meets it."""

import json
from pathlib import Path

import pytest

from pyodide_offline.store import Entry, Store


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    def produce(target: Path) -> dict[str, object]:
        target.write_bytes(b"content")
        return {"source": "npm", "package": {"integrity": "sha512-xyz"}}

    return Store(tmp_path / "store").fill("bundle", "one", produce)


def test_cache_path_obeys_option_then_variable(program, tmp_path):
    assert program("cache", "path").stdout.strip() == str(tmp_path / "store")
    assert program("cache", "path", "--store-dir", "/x").stdout == "/x\n"
    assert program("cache", "path", "--bundles").stdout.strip() == str(tmp_path / "cache")


def test_cache_list_of_an_empty_store(program):
    done = program("cache", "list", "--json")
    assert (done.returncode, done.stdout.strip()) == (0, "[]")


def test_list_says_where_things_came_from_when_asked(program, entry):
    assert "sha512-xyz" not in program("cache", "list").stdout
    done = program("cache", "list", "-v")
    assert "package.integrity: sha512-xyz" in done.stdout
    assert str(entry.digest) in done.stdout


def test_verify_of_a_good_store_is_status_0(program, entry):
    done = program("cache", "verify")
    assert (done.returncode, done.stdout) == (0, "1 entries checked, 0 damaged\n")


def test_verify_says_what_is_well_when_asked(program, entry):
    assert "well: bundle one" in program("cache", "verify", "-v").stdout
    entry.path.chmod(0o600)
    entry.path.write_bytes(b"content?")
    assert "well:" not in program("cache", "verify", "-v").stdout


def test_verify_of_a_damaged_store_is_status_1_and_repair_mends_it(program, entry):
    entry.path.chmod(0o600)
    entry.path.write_bytes(b"x")
    done = program("cache", "verify")
    assert done.returncode == 1
    assert "damaged: bundle one" in done.stdout
    assert "cache verify --repair" in done.stdout
    assert program("cache", "verify", "--repair").returncode == 0
    assert program("cache", "verify", "--json").stdout.split() == [
        "{",
        '"checked":',
        "0,",
        '"faults":',
        "[]",
        "}",
    ]


def test_prune_all_frees_the_store(program, entry):
    done = program("cache", "prune", "--all", "-v")
    assert "removed bundle one" in done.stdout
    assert "1 entries removed" in done.stdout
    assert json.loads(program("cache", "list", "--json").stdout) == []


def test_list_also_says_what_lies_beside_the_entries(program, entry, tmp_path):
    folder = tmp_path / "store" / "v1" / "uv-cache"
    folder.mkdir()
    (folder / "x").write_bytes(b"\0" * 3_000_000)
    assert f"and 3.0 MB in {folder}" in program("cache", "list").stdout
    program("cache", "prune", "--all")
    assert not folder.exists()


@pytest.mark.parametrize("command", [["list"], ["verify"], ["prune", "--all"]], ids=" ".join)
def test_a_store_that_is_a_file_is_an_error(program, tmp_path, command):
    (tmp_path / "store").touch()
    done = program("cache", *command)
    assert done.returncode == 9
    assert "is a file" in done.stderr


def test_prune_of_the_future_is_wrong_use(program, entry):
    assert program("cache", "prune", "--days", "-1").returncode == 2
    assert entry.path.exists()
