"""Tables and JSON."""

import json
from pathlib import Path

from pyodide_offline.cli import render


def test_columns_are_aligned_and_numbers_stand_right(capsys):
    render.table(["A", "SIZE"], [["long name", "1"], ["x", "22"]], right=[1])
    assert capsys.readouterr().out.splitlines() == [
        "A          SIZE",
        "long name     1",
        "x            22",
    ]


def test_an_empty_table_is_its_head(capsys):
    render.table(["A"], [])
    assert capsys.readouterr().out == "A\n"


def test_json_takes_paths_and_keeps_letters(capsys):
    render.as_json({"path": Path("/ü")})
    assert json.loads(capsys.readouterr().out) == {"path": "/ü"}
