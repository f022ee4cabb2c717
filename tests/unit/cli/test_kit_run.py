"""`pyodide-offline kit run` as a person meets it."""


def test_without_an_unpacked_kit_the_way_is_named(program):
    done = program("kit", "run", "--", "pywrangler", "dev")
    assert done.returncode == 9
    assert "kit unpack" in done.stderr


def test_a_command_is_asked_for(program):
    assert program("kit", "run").returncode == 2
