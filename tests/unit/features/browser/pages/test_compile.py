"""Byte code in place of source, with this Python."""

import importlib
import sys
import zipfile

import pytest

from pyodide_offline.features.browser.pages import compile as compiling
from tests.peers.wheels import wheel

SERIES = "".join(map(str, sys.version_info[:2]))


def test_a_compiled_wheel_has_no_source_and_works(tmp_path, monkeypatch):
    files = {"compiledpkg/__init__.py": "from .sub import y\n", "compiledpkg/sub.py": "y = 7\n"}
    wheel(tmp_path, "compiledpkg", files=files)
    (names,) = compiling.wheels(str(tmp_path))
    assert names == [
        "compiledpkg-1.0-py3-none-any.whl",
        f"compiledpkg-1.0-cp{SERIES}-none-any.whl",
    ]
    target = tmp_path / names[1]
    with zipfile.ZipFile(target) as archive:
        assert not [name for name in archive.namelist() if name.endswith(".py")]
        assert (
            f"Tag: cp{SERIES}-none-any" in archive.read("compiledpkg-1.0.dist-info/WHEEL").decode()
        )
        assert {one.compress_type for one in archive.infolist()} == {zipfile.ZIP_DEFLATED}
        archive.extractall(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert importlib.import_module("compiledpkg").y == 7
    assert compiling.wheels(str(tmp_path)) == []


def test_a_wheel_that_unpacks_to_too_much_is_refused_unread(tmp_path, monkeypatch):
    path = wheel(tmp_path, "a", files={"a.py": "x = 1\n" * 1000})
    monkeypatch.setattr(compiling, "_ROOM", 5000)
    with pytest.raises(ValueError, match=r"a-1\.0-py3-none-any\.whl unpacks to over"):
        compiling.compiled(path)
    assert path.exists()


@pytest.mark.parametrize(
    ("name", "data"), [("a.txt", b"x"), ("template.py", b"{{ name }} = ("), ("nul.py", b"\0")]
)
def test_what_is_no_module_stays(name, data):
    assert compiling.byte_code(name, data) == (name, data)
