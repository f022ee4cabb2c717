"""`pyodide-offline mirror` as a person meets it."""


def test_it_says_what_it_has(program):
    done = program("mirror", "--help")
    assert done.returncode == 0
    assert "serve" in done.stdout
