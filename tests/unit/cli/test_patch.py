"""`pyodide-offline patch` as a person meets it."""

import json
from pathlib import Path

import pytest

from tests.unit.features.test_patch import install
from tests.unit.workers.test_miniflare import ORIGINAL


@pytest.fixture
def file(program) -> Path:
    return install(program.folder / "node_modules")


def patch(program, *arguments):
    # Without Node and npm: the check has tests of its own.
    more = ("--no-check",) if arguments[0] in ("apply", "revert") else ()
    return program("patch", *arguments, *more, PATH="/nowhere")


def test_the_whole_way_there_and_back(program, file, tmp_path):
    assert patch(program, "status").stdout.split()[-4:-1] == ["original", "5.1.0", "-"]
    done = patch(program, "apply")
    assert (done.returncode, done.stdout) == (0, f"{file} (miniflare 5.1.0): patched\n")
    assert "needs the shim of: pyodide-offline run" in done.stderr
    assert patch(program, "apply").stdout.endswith("is patched already\n")
    (found,) = json.loads(patch(program, "status", "--json").stdout)
    assert found["state"] == "patched"
    assert found["path"] == str(file)
    assert found["version"] == "5.1.0"
    assert found["cache_dir"] == str(tmp_path / "cache")
    done = patch(program, "diff")
    assert (done.returncode, done.stdout.count("\n@@ ")) == (0, 1)
    assert patch(program, "revert").returncode == 0
    assert file.read_bytes() == ORIGINAL.encode()
    assert "nothing to do" in patch(program, "revert").stdout


def test_the_folder_is_option_then_variable_then_setting(program, file, tmp_path):
    named = tmp_path / "named"
    patch(program, "apply", "--cache-dir", str(named))
    assert str(named) in patch(program, "status").stdout
    (program.folder / "pyproject.toml").write_text(
        f'[tool.pyodide-offline]\ncache-dir = "{tmp_path / "set"}"\n'
    )
    program("patch", "apply", "--no-check", PATH="/nowhere", PYODIDE_OFFLINE_CACHE_DIR="")
    assert str(tmp_path / "set") in patch(program, "status").stdout


def test_a_refusal_shows_what_was_seen_and_is_status_11(program, file):
    hand = '"--pyodide-bundle-disk-cache-dir=/by/hand",'
    file.write_text(ORIGINAL.replace('"--binary",', f'"--binary",\n    {hand}'))
    before = file.read_bytes()
    for command in ("apply", "revert"):
        done = patch(program, command)
        assert done.returncode == 11
        assert f"error[unsupported]: {file} (miniflare 5.1.0) is not touched." in done.stderr
        assert hand in done.stderr
    assert file.read_bytes() == before
    done = patch(program, "status")
    assert done.returncode == 0
    assert "foreign" in done.stdout
    assert hand in done.stdout


def test_nothing_there_is_status_7_but_status_and_diff_are_well(program, tmp_path):
    assert patch(program, "apply").returncode == 7
    assert "patch status" in patch(program, "diff").stderr
    for command in ("status", "diff"):
        assert patch(program, command).returncode == 0
    assert patch(program, "status").stdout == "No miniflare was found.\n"
    done = patch(program, "apply", str(tmp_path / "store-that-is-not-there"))
    assert done.returncode == 2


def test_quiet_says_nothing(program, file):
    done = patch(program, "apply", "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
