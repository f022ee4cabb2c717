"""`pyodide-offline kit browser` as a person meets it."""

import dataclasses
from pathlib import Path

from pyodide_offline import digest
from pyodide_offline.features.browser import folder
from pyodide_offline.features.kit import trees
from pyodide_offline.kits.writing import write
from tests.peers import kits


def packed(session, root: Path, target: Path) -> None:
    manifest, blobs = kits.contents(target.parent / "files")
    (tree,) = trees.packed(session, [root])
    items = tuple(sorted((*manifest.items, tree.item), key=lambda one: one.key))
    blobs[tree.item.sha256] = tree.path
    write(target, dataclasses.replace(manifest, items=items), blobs, keys=[kits.key()])


def test_a_folder_out_of_a_kit(program, session, tmp_path):
    root = tmp_path / "site"
    root.mkdir()
    (root / "index.html").write_text(f'<html data-folder="{digest.of_bytes(b"").sri}">')
    folder.seal(root, {"title": "x"})
    packed(session, root, Path(program.folder, "my.kit"))
    state = {"PYODIDE_OFFLINE_STATE_DIR": str(tmp_path / "state")}
    words = ("kit", "browser", "my.kit", "-o", "out")
    assert program(*words, **state).returncode == 20
    done = program(*words, "--key", kits.key().public.line, **state)
    assert (done.returncode, "site, as it was packed" in done.stderr) == (0, True), done.stderr
    assert folder.faults(folder.read(Path(program.folder, "out"))) == []
    again = program("kit", "browser", "-o", "out", **state)
    assert (again.returncode, "there already" in again.stderr) == (9, True)


def test_a_folder_that_was_altered_is_not_packed(program, tmp_path):
    root = tmp_path / "site"
    root.mkdir()
    (root / "index.html").write_text("<html>")
    folder.seal(root, {"title": "x"})
    (root / "index.html").write_text("<html >")
    done = program("kit", "pack", "-o", "a.kit", "--browser", str(root))
    assert (done.returncode, "index.html is altered" in done.stderr) == (5, True), done.stderr
    assert not Path(program.folder, "a.kit").exists()
