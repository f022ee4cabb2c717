"""A folder's Pyodide under Node; a script stands for Node here."""

import pytest

from pyodide_offline.errors import AssemblyError
from pyodide_offline.features.browser import inside
from pyodide_offline.workers.toolchain import node
from pyodide_offline.workers.toolchain.node import Node


@pytest.fixture
def program(tmp_path, monkeypatch):
    def says(text):
        path = tmp_path / "node"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        found = Node(path, "22.0.0", (), tmp_path, managed=False)
        monkeypatch.setattr(node, "provide", lambda *_: found)

    return says


def test_the_last_line_is_the_answer(session, program, tmp_path):
    program('echo a line of the app; echo "{\\"args\\": \\"$2 $3 $4\\"}"')
    found = inside.run(session, "verify", tmp_path / "d", tmp_path / "l")
    assert found == {"args": f"verify {tmp_path}/d {tmp_path}/l"}


def test_what_was_thrown_is_said(session, program, tmp_path):
    program("echo 'file:1' >&2; echo 'RangeError: too far' >&2; echo '  at x' >&2; exit 1")
    with pytest.raises(AssemblyError, match="RangeError: too far"):
        inside.run(session, "verify", tmp_path, tmp_path)
