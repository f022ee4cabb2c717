"""This product as a wheel that pip installs and that starts."""

import subprocess
import sys
import zipfile
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import parse_wheel_filename

from pyodide_offline.features.kit import product


def test_pip_installs_the_wheel_and_it_is_whole(tmp_path):
    wheel = tmp_path / product.file_name()
    product.write(wheel)
    assert parse_wheel_filename(wheel.name)[0] == product.NAME
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet"]
    subprocess.run([*command, "--target", tmp_path / "site", wheel], check=True)
    assert (tmp_path / "site" / "pyodide_offline" / "workers" / "setup.js").is_file()
    assert list((tmp_path / "site" / "pyodide_offline" / "patches").iterdir())


def test_the_same_files_make_the_same_bytes_and_none_is_a_cache(tmp_path):
    product.write(tmp_path / "a.whl")
    product.write(tmp_path / "b.whl")
    assert (tmp_path / "a.whl").read_bytes() == (tmp_path / "b.whl").read_bytes()
    names = zipfile.ZipFile(tmp_path / "a.whl").namelist()
    assert not [name for name in names if "__pycache__" in Path(name).parts]


def test_what_extras_want_is_left_out():
    names = {Requirement(one).name for one in product.requirements()}
    assert "httpx" in names
    assert "keyring" not in names
