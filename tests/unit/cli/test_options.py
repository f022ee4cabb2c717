"""Shared options, and the session made of them."""

from pathlib import Path

from pyodide_offline import paths
from pyodide_offline.cli import bars, options
from pyodide_offline.progress import Silent


def test_folders_are_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = options.session(cache_dir=Path("c"), store_dir=Path("s"), project=Path("p"))
    assert made.cache_dir == tmp_path / "c"
    assert made.store.root == tmp_path / "s"
    assert made.project == tmp_path / "p"


def test_without_options_the_variables_hold(tmp_path, monkeypatch):
    monkeypatch.setenv(paths.STORE_VARIABLE, str(tmp_path / "s"))
    monkeypatch.setenv(paths.CACHE_VARIABLE, str(tmp_path / "c"))
    made = options.session(cache_dir=None, store_dir=None)
    assert (made.store.root, made.cache_dir) == (tmp_path / "s", tmp_path / "c")


def test_quiet_is_silent_and_a_log_gets_lines(tmp_path, monkeypatch):
    named = {"cache_dir": tmp_path, "store_dir": tmp_path}
    assert isinstance(options.session(**named, quiet=True).progress, Silent)
    monkeypatch.setenv("CI", "true")
    assert isinstance(options.session(**named).progress, bars.Lines)
