"""`pyodide-offline prefetch` as a person meets it."""

import json

from pyodide_offline import digest
from tests.peers import workerd

OFFICIAL = digest.of_bytes(b"official")


def test_offline_forbids_to_fetch(program):
    (program.folder / "wrangler.toml").write_text(
        'main = "a.py"\ncompatibility_date = "2026-11-17"\n'
    )
    done = program("prefetch", "--offline")
    assert done.returncode == 12
    assert "--offline forbids" in done.stderr


def test_a_users_mistake_is_said_in_lines_with_its_status(program):
    (program.folder / "wrangler.toml").write_text("main = ")
    done = program("prefetch")
    assert done.returncode == 8
    assert done.stderr.startswith("error[project]: ")
    assert 1 <= len(done.stderr.splitlines()) <= 3


def test_a_bundle_in_the_store_is_listed_in_a_table_and_as_json(program, tmp_path):
    brought = tmp_path / "cache"
    brought.mkdir(mode=0o700)
    # An official bundle brought by hand is all that a bare binary needs.
    setup = workerd.Setup(digest=OFFICIAL.sri)
    fake = workerd.make(tmp_path / "w", setup)
    (brought / f"pyodide_{setup.id}.capnp.bin").write_bytes(b"official")
    done = program("prefetch", "--offline", "--workerd", str(fake.path))
    assert done.returncode == 0, done.stderr
    head, line, folder = done.stdout.splitlines()
    assert head.split() == ["WHAT", "VERSION", "FROM", "SIZE"]
    assert "314.0.6 (Python 3.14)" in line
    assert "fetched now" in line
    assert folder.endswith(str(brought))
    again = program("prefetch", "--offline", "--workerd", str(fake.path), "--json")
    answer = json.loads(again.stdout)
    assert answer["fetched"] is False
    assert answer["items"][0]["origin"] == "official"


def test_verbose_says_where_things_lie(program, tmp_path):
    setup = workerd.Setup(digest=OFFICIAL.sri)
    fake = workerd.make(tmp_path / "w", setup)
    (tmp_path / "cache").mkdir(mode=0o700)
    (tmp_path / "cache" / f"pyodide_{setup.id}.capnp.bin").write_bytes(b"official")
    done = program("prefetch", "-v", "--offline", "--workerd", str(fake.path))
    assert f"Pyodide bundle: {tmp_path / 'store'}" in done.stdout


def test_quiet_says_nothing(program, tmp_path):
    setup = workerd.Setup(digest=OFFICIAL.sri)
    fake = workerd.make(tmp_path / "w", setup)
    (tmp_path / "cache").mkdir(mode=0o700)
    (tmp_path / "cache" / f"pyodide_{setup.id}.capnp.bin").write_bytes(b"official")
    done = program("prefetch", "-q", "--offline", "--workerd", str(fake.path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_workerd_in_this_folder_needs_no_slash(program, tmp_path):
    setup = workerd.Setup(digest=OFFICIAL.sri)
    fake = workerd.make(tmp_path / "w", setup)
    (tmp_path / "cache").mkdir(mode=0o700)
    (tmp_path / "cache" / f"pyodide_{setup.id}.capnp.bin").write_bytes(b"official")
    (program.folder / "mine").symlink_to(fake.path)
    done = program("prefetch", "--offline", "--workerd", "mine")
    assert done.returncode == 0, done.stderr
