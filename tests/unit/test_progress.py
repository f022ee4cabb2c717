"""A piece of work is ended whether it went well or not."""

import pytest

from pyodide_offline.progress import Silent, working
from tests.conftest import Recorder


def test_bytes_are_counted_and_the_end_is_told(progress: Recorder) -> None:
    with working(progress, "work", 10) as advance:
        advance(3)
        advance(4)
        (task,) = progress.tasks["work"]
        assert (task.total, task.done, task.finished) == (10, 7, False)
    assert task.finished


def test_the_end_is_told_after_a_failure(progress: Recorder) -> None:
    with pytest.raises(KeyboardInterrupt), working(progress, "work"):
        raise KeyboardInterrupt
    (task,) = progress.tasks["work"]
    assert (task.total, task.finished) == (None, True)


def test_nobody_needs_to_listen(capfd: pytest.CaptureFixture[str]) -> None:
    with working(Silent(), "work", 1) as advance:
        advance(1)
    Silent().note("nothing")
    assert capfd.readouterr() == ("", "")
