"""What a shell needs to complete our words."""

import pytest


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed(program, shell):
    done = program("completion", shell)
    assert done.returncode == 0
    assert "_PYODIDE_OFFLINE_COMPLETE" in done.stdout
