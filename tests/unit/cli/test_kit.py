"""`pyodide-offline kit` as a person meets it."""

import dataclasses
import json
from pathlib import Path

import pytest

from pyodide_offline.kits.writing import write
from tests.peers import kits

KEY = kits.key().public.line


@pytest.fixture
def kit(program) -> Path:
    kits.kit(program.folder / "my.kit")
    return Path(program.folder, "my.kit")


def test_verify_unpack_list_and_rollback(program, kit, tmp_path):
    state = {"PYODIDE_OFFLINE_STATE_DIR": str(tmp_path / "state")}
    done = program("kit", "verify", "my.kit", **state)
    assert (done.returncode, done.stdout.count("\n")) == (2, 1)
    assert program("kit", "verify", "my.kit", "--key", KEY, **state).stdout.startswith("well: ")
    done = program("kit", "unpack", "my.kit", **state)
    assert (done.returncode, "[untrusted]" in done.stderr) == (20, True)
    done = program("kit", "unpack", "my.kit", "--key", KEY, **state)
    assert done.returncode == 0, done.stderr
    assert "* 0001-" in program("kit", "list", **state).stdout
    assert json.loads(program("kit", "list", "--json", **state).stdout)[0]["current"] is True
    # The key is known from now on.
    assert program("kit", "verify", "my.kit", **state).returncode == 0
    assert program("kit", "rollback", **state).returncode == 9
    assert program("kit", "prune").stdout.startswith("0 generations removed")


def test_verify_lists_all_faults_as_json_too(program, kit):
    data = bytearray(kit.read_bytes())
    data[data.rindex(b"WheeL")] ^= 1
    kit.write_bytes(data)
    done = program("kit", "verify", "my.kit", "--json")
    assert done.returncode == 3
    assert {one["bit"] for one in json.loads(done.stdout)["faults"]} == {1, 2}


def test_inspect_shows_the_manifest_and_the_components(program, kit):
    done = program("kit", "inspect", "my.kit")
    assert done.stdout.startswith("example, serial 7, made 1970-01-01T00:00:00Z\n")
    assert "@scope/npm-one" in done.stdout
    assert f"signed by {kits.key().public.name}" in done.stdout
    assert json.loads(program("kit", "inspect", "--json", "my.kit").stdout)["serial"] == 7
    sbom = json.loads(program("kit", "inspect", "--sbom", "my.kit").stdout)
    assert sbom["bomFormat"] == "CycloneDX"
    kit.write_bytes(b"x" * 2000)
    done = program("kit", "inspect", "my.kit")
    assert (done.returncode, "no kit" in done.stderr) == (5, True)


def test_diff_says_what_is_new(program, kit):
    kits.kit(program.folder / "new.kit", extra=b"x")
    assert program("kit", "diff", "my.kit", "my.kit").returncode == 0
    done = program("kit", "diff", "my.kit", "new.kit")
    assert done.returncode == 1
    assert done.stdout.startswith("~ npm @scope/npm-one 1.0.0")


def test_split_and_join_give_the_kit_back(program, kit):
    before = kit.read_bytes()
    done = program("kit", "split", "my.kit", "--volume-size", "20KB", "-o", "out")
    paths = done.stdout.split()
    assert len(paths) > 2
    assert program("kit", "join", *reversed(paths), "-o", "again.kit").returncode == 0
    assert (program.folder / "again.kit").read_bytes() == before


def test_merge_has_all_of_both_and_is_signed_anew(program, kit):
    manifest, blobs = kits.contents(program.folder / "more")
    item = kits.item("wheel", b"wheel two", version="2.0.0")
    (program.folder / "two").write_bytes(b"wheel two")
    blobs[item.sha256] = program.folder / "two"
    more = dataclasses.replace(manifest, items=(*manifest.items[:2], item), serial=8)
    write(program.folder / "more.kit", more, blobs)
    program("kit", "keygen", "k", "--no-passphrase")
    done = program("kit", "merge", "my.kit", "more.kit", "-o", "all.kit", "--sign", "k")
    assert done.stdout == "all.kit: example, serial 8, 5 items\n", done.stderr
    assert program("kit", "verify", "all.kit", "--key", "k.pub").returncode == 0
    data = bytearray(kit.read_bytes())
    data[data.rindex(b"TARball")] ^= 1
    kit.write_bytes(data)
    done = program("kit", "merge", "more.kit", "my.kit", "-o", "bad.kit")
    assert (done.returncode, "not the file" in done.stderr) == (5, True)
    assert not (program.folder / "bad.kit").exists()


@pytest.mark.parametrize(
    ("words", "status", "says", "step"),
    [
        (["join", "{}/empty", "-o", "{}/z.kit"], 5, "is no kit", "ends at byte 0"),
        (["verify", "{}/nowhere.kit"], 9, "No such file", "Name a kit's file"),
        (["verify", "{}/my.kit", "--key", "nowhere.pub"], 13, "no public key", ".pub file"),
        (["verify", "{}/my.kit", "--key", KEY, "--need", "2"], 13, "fewer keys", "Name each"),
        (["sign", "{}/my.kit", "--key", "nowhere.key"], 13, "No such file", "kit keygen"),
        (["sign", "{}/my.kit", "--key", "{}/empty"], 13, "no secret key", "kit keygen"),
        (["prune", "--keep", "0"], 2, "--keep", "--help"),
        (["rollback"], 9, "no generation before", "kit list"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_what_to_do(program, kit, words, status, says, step):
    (kit.parent / "empty").touch()
    done = program("kit", *(word.format(kit.parent) for word in words))
    assert done.returncode == status, done.stderr
    assert says in done.stderr
    assert step in done.stderr
    assert "Errno" not in done.stderr
    assert 1 <= len(done.stderr.splitlines()) <= 4
    assert not (kit.parent / "z.kit").exists()
