"""The product installed from a kit's wheels by Python alone."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from pyodide_offline.errors import ToolchainError, UnsupportedError
from pyodide_offline.kits import bootstrap
from pyodide_offline.kits.manifest import Item
from tests.peers import wheels

# A pip of two lines: what it is told is what matters here; the real one comes with a kit.
PIP = """
import pathlib, sys, zipfile
shelf = pathlib.Path(sys.argv[sys.argv.index('--find-links') + 1])
assert '--no-index' in sys.argv
site = pathlib.Path(sys.prefix, 'lib', 'python%d.%d' % sys.version_info[:2], 'site-packages')
for wheel in shelf.iterdir():
    zipfile.ZipFile(wheel).extractall(site)
"""


def made(folder: Path, **files: str) -> tuple[list[Item], dict[str, Path]]:
    """A kit's items: a pip and a product of one module."""
    pip = wheels.wheel(folder, "pip", files={"pip/__main__.py": files.get("pip", PIP)})
    product = {"pyodide_offline/__init__.py": "VALUE = 7\n"}
    found = [pip, wheels.wheel(folder, "pyodide-offline", files=product)]
    items, places = [], {}
    for path in found:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        places[digest] = path
        items.append(Item("wheel", path.name, "1.0", path.name, path.stat().st_size, digest))
    return items, places


def test_the_installed_python_has_the_product(tmp_path):
    items, places = made(tmp_path / "wheels")
    home = tmp_path / "a home"
    python = bootstrap.provide(home, items, places)
    said = subprocess.run(
        [python, "-I", "-c", "import pyodide_offline as p; print(p.VALUE)"],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert said.stdout == "7\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a home", "home", "wheels"]


def test_what_a_killed_start_had_begun_is_removed_after_a_while(tmp_path):
    items, places = made(tmp_path / "wheels")
    recent, old = tmp_path / ".a home.recent", tmp_path / ".a home.older"
    for path in (recent, old):
        (path / "made").mkdir(parents=True)
    os.utime(old, (1, 1))
    bootstrap.provide(tmp_path / "a home", items, places)
    assert (recent.exists(), old.exists()) == (True, False)


def test_what_is_there_is_not_made_again(tmp_path):
    items, places = made(tmp_path / "wheels")
    python = bootstrap.provide(tmp_path / "made", items, places)
    assert bootstrap.provide(tmp_path / "made", [], {}) == python


def test_a_failed_installation_leaves_nothing_and_says_why(tmp_path):
    items, places = made(tmp_path / "wheels", pip="raise SystemExit('no wheel fits')")
    with pytest.raises(ToolchainError, match="no wheel fits"):
        bootstrap.provide(tmp_path / "made", items, places)
    assert not (tmp_path / "made").exists()
    assert not list(tmp_path.glob(".made*"))


def test_a_kit_without_the_product_is_told_from_a_broken_one(tmp_path):
    with pytest.raises(UnsupportedError, match="does not bring the program"):
        bootstrap.provide(tmp_path / "made", [], {})


def test_the_users_words_come_last(tmp_path):
    words = ["pywrangler", "dev", "--port", "1"]
    found = bootstrap.command(Path("/p"), words, tmp_path)
    assert found[-5:] == ["--", *words]
    assert str(tmp_path) in found
    assert "--project" not in bootstrap.command(Path("/p"), words, None)
