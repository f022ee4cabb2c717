"""`pyodide-offline kit run` as a person meets it."""

from pathlib import Path

from tests.peers import kits


def test_without_an_unpacked_kit_the_way_is_named(program):
    done = program("kit", "run", "--", "pywrangler", "dev")
    assert done.returncode == 9
    assert "kit unpack" in done.stderr


def test_a_command_is_asked_for(program):
    assert program("kit", "run").returncode == 2


def test_words_after_the_first_mark_are_the_commands_own(program):
    done = program("kit", "run", "--", "npm", "run", "dev", "--", "--port", "1")
    assert (done.returncode, "No kit was unpacked" in done.stderr) == (9, True)


def test_a_command_is_asked_for_where_there_is_only_a_kit(program):
    done = program("kit", "run", "my.kit", "--")
    assert (done.returncode, "COMMAND" in done.stderr) == (2, True)


def test_a_kit_that_is_named_is_judged_first(program):
    kits.kit(program.folder / "my.kit")
    state = {"PYODIDE_OFFLINE_STATE_DIR": str(Path(program.folder, "state"))}
    done = program("kit", "run", "my.kit", "--", "true", **state)
    assert (done.returncode, "[untrusted]" in done.stderr) == (20, True)
    assert program("kit", "list", **state).stdout == ""


def test_a_kit_that_is_named_is_unpacked_and_its_command_begun(program):
    kits.kit(program.folder / "my.kit")
    state = {"PYODIDE_OFFLINE_STATE_DIR": str(Path(program.folder, "state"))}
    done = program("kit", "run", "my.kit", "--key", kits.key().public.line, "--", "true", **state)
    assert "[untrusted]" not in done.stderr
    assert program("kit", "list", **state).stdout.startswith("* ")
