"""`pyodide-offline toolchain` as a person meets it."""

import pytest


@pytest.mark.parametrize("name", ["list", "path"])
def test_where_nothing_is_installed_it_says_what_to_type(program, name, tmp_path):
    done = program("toolchain", name, PATH="/nowhere")
    assert done.returncode == 1
    assert "pyodide-offline toolchain install" in done.stderr
    assert done.stdout == ""


def test_install_offline_with_an_empty_store_is_status_12(program):
    done = program("toolchain", "install", "--offline", PATH="/nowhere")
    assert done.returncode == 12
    assert "--offline forbids" in done.stderr
