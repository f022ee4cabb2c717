"""`pyodide-offline browser` as a person meets it."""

import pytest


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-o", "x"], "Name packages"),
        (["a", "-o", "x", "--include", "."], "go with --app"),
        (["a"], "Missing option '-o'"),
    ],
)
def test_wrong_use_is_status_2(program, arguments, says):
    done = program("browser", "build", *arguments)
    assert done.returncode == 2
    assert says in done.stderr


def test_offline_with_an_empty_store_is_status_12(program):
    done = program("browser", "build", "click", "-o", "x", "--offline", PATH="/nowhere")
    assert done.returncode == 12
    assert not (program.folder / "x").exists()


@pytest.mark.parametrize("command", ["serve", "verify"])
def test_another_folder_is_status_8(program, command):
    done = program("browser", command, ".")
    assert done.returncode == 8
    assert "browser build" in done.stderr


@pytest.mark.parametrize("port", ["65536", "-1", "http"])
def test_a_port_that_is_none_is_wrong_use(program, port):
    assert program("browser", "serve", ".", "--port", port).returncode == 2


def test_a_folder_of_somebody_else_is_refused_before_anything_is_fetched(program):
    (program.folder / "theirs").mkdir()
    (program.folder / "theirs" / "file").touch()
    done = program("browser", "build", "click", "-o", "theirs", "--offline", PATH="/nowhere")
    assert done.returncode == 8  # and not 12, what is not in the store
    assert "browser build did not make it" in done.stderr


def test_an_altered_file_is_named_and_status_1(program):
    from pyodide_offline.features.browser import folder

    site = program.folder / "site"
    site.mkdir()
    (site / "index.html").write_text('<html data-folder="sha256-' + "A" * 43 + '=">')
    (site / "page.js").write_text("x")
    folder.seal(site, {})
    (site / "page.js").write_text("y")
    done = program("browser", "verify", "site")
    assert done.returncode == 1
    assert "page.js is altered" in done.stdout
