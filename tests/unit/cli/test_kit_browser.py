"""`pyodide-offline kit browser` as a person meets it."""

import dataclasses
import json
import subprocess
from pathlib import Path

from pyodide_offline import digest
from pyodide_offline.features.browser import folder
from pyodide_offline.features.kit import trees
from pyodide_offline.kits.writing import write
from tests.peers import kits


def built(root: Path) -> Path:
    root.mkdir()
    (root / "index.html").write_text(f'<html data-folder="{digest.of_bytes(b"").sri}">')
    folder.seal(root, {"title": "x"})
    return root


def packed(session, root: Path, target: Path) -> None:
    manifest, blobs = kits.contents(target.parent / "files")
    (tree,) = trees.packed(session, [root])
    items = tuple(sorted((*manifest.items, tree.item), key=lambda one: one.key))
    blobs[tree.item.sha256] = tree.path
    write(target, dataclasses.replace(manifest, items=items), blobs, keys=[kits.key()])


def test_a_folder_out_of_a_kit(program, session, tmp_path):
    packed(session, built(tmp_path / "site"), Path(program.folder, "my.kit"))
    state = {"PYODIDE_OFFLINE_STATE_DIR": str(tmp_path / "state")}
    words = ("kit", "browser", "my.kit", "-o", "out")
    assert program(*words, **state).returncode == 20
    done = program(*words, "--key", kits.key().public.line, **state)
    assert (done.returncode, "site, as it was packed" in done.stderr) == (0, True), done.stderr
    assert folder.faults(folder.read(Path(program.folder, "out"))) == []
    again = program("kit", "browser", "-o", "out", **state)
    assert (again.returncode, "there already" in again.stderr) == (9, True)


def test_a_folder_alone_is_packed_outside_of_any_project(program, tmp_path):
    root = built(tmp_path / "site")
    state = {"PYODIDE_OFFLINE_STATE_DIR": str(tmp_path / "state")}
    done = program("kit", "pack", "--browser", str(root), "-o", "site.kit")
    assert (done.returncode, "1 archive," in done.stderr) == (0, True), done.stderr
    assert "for any platform" in done.stderr
    trusted = ("site.kit", "--allow-unsigned")
    done = program("kit", "verify", *trusted, **state)
    assert (done.returncode, done.stdout) == (0, "well: site, serial 1\n"), done.stderr
    assert program("kit", "browser", *trusted, "-o", "out", **state).returncode == 0
    assert folder.faults(folder.read(Path(program.folder, "out"))) == []
    done = program("kit", "run", *trusted, "--", "true", **state)
    assert (done.returncode, "it holds site" in done.stderr) == (11, True), done.stderr
    # Without this product tar is enough: what is in a kit is an archive as any other.
    site = tmp_path / "by tar"
    site.mkdir()
    subprocess.run(["tar", "-xf", "site.kit"], cwd=program.folder, check=True)
    (item,) = json.loads(Path(program.folder, "manifest.json").read_bytes())["items"]
    blob = f"blobs/sha256/{item['sha256']}"
    subprocess.run(["tar", "-xf", blob, "-C", site], cwd=program.folder, check=True)
    assert folder.faults(folder.read(site)) == []


def test_a_project_that_was_named_is_packed_or_refused(program, tmp_path):
    root = built(tmp_path / "site")
    (tmp_path / "empty").mkdir()
    words = ("kit", "pack", str(tmp_path / "empty"), "-o", "a.kit", "--browser", str(root))
    done = program(*words)
    assert (done.returncode, "no wrangler configuration" in done.stderr) == (8, True), done.stderr


def test_a_folder_that_was_altered_is_not_packed(program, tmp_path):
    root = tmp_path / "site"
    root.mkdir()
    (root / "index.html").write_text("<html>")
    folder.seal(root, {"title": "x"})
    (root / "index.html").write_text("<html >")
    done = program("kit", "pack", "-o", "a.kit", "--browser", str(root))
    assert (done.returncode, "index.html is altered" in done.stderr) == (5, True), done.stderr
    assert not Path(program.folder, "a.kit").exists()
