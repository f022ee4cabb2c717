"""Brotli copies beside files."""

import brotli

from pyodide_offline.features.browser import compress
from pyodide_offline.progress import Silent


def test_only_what_gets_smaller_has_a_copy(tmp_path):
    for name in ("long.js", "zip.whl", "long.txt"):
        (tmp_path / name).write_bytes(b"word " * 1000)
    (tmp_path / "short.js").write_bytes(b"word")
    compress.write(tmp_path, Silent())
    assert sorted(path.name for path in tmp_path.glob("*.br")) == ["long.js.br"]
    assert brotli.decompress((tmp_path / "long.js.br").read_bytes()) == b"word " * 1000
