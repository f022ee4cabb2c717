"""How long work is shown."""

import pytest

from pyodide_offline.cli import bars
from pyodide_offline.progress import working


def test_in_a_log_each_piece_of_work_is_one_line(capsys):
    with working(bars.Lines(), "pyodide@314.0.6", 10) as advance:
        advance(2_000_000)
    said = capsys.readouterr().err
    assert said.startswith("pyodide-offline: pyodide@314.0.6, 2.0 MB, ")
    assert said.count("\n") == 1


def test_bars_come_and_go(capsys):
    shown = bars.Bars()
    with working(shown, "one", 10) as advance:
        advance(10)
        shown.note("a note [with brackets]")
    with working(shown, "two"):
        pass
    shown.note("afterwards")
    said = capsys.readouterr().err
    assert "a note [with brackets]" in said
    assert "pyodide-offline: afterwards" in said


def test_work_that_fails_takes_its_bar_away(capsys):
    shown = bars.Bars()
    with pytest.raises(ValueError, match="no"), working(shown, "one"):
        raise ValueError("no")
    assert shown._bars is not None
    assert not shown._bars.tasks


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0.0 kB"), (1_500, "1.5 kB"), (13_400_000, "13.4 MB")]
)
def test_bytes_for_people(size, text):
    assert bars.megabytes(size) == text
