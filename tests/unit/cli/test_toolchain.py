"""`pyodide-offline toolchain` as a person meets it."""

import pytest

from tests.peers.authority import Authority


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


def test_where_nothing_is_installed_the_json_is_empty(program):
    done = program("toolchain", "list", "--json", PATH="/nowhere")
    assert (done.returncode, done.stdout) == (1, "[]\n")


def test_a_store_that_is_a_file_is_an_error_of_storage(program, tmp_path):
    (tmp_path / "store").touch()
    authority = str(Authority(tmp_path / "authority").ca)
    done = program("toolchain", "install", PATH="/nowhere", SSL_CERT_FILE=authority)
    assert done.returncode == 9, done.stderr
