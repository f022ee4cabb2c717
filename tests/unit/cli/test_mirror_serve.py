"""`pyodide-offline mirror serve` as a person meets it."""

import importlib.util

import pytest

from pyodide_offline.cli import mirror_serve
from pyodide_offline.errors import ToolchainError


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--upstream", "npm"], "NAME=VALUE"),
        (["--cache-size", "much"], "no size"),
        (["--tls-cert", __file__], "go together"),
    ],
)
def test_wrong_use(program, arguments, said):
    done = program("mirror", "serve", *arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_an_address_that_is_none(program):
    done = program("mirror", "serve", "--listen", "nonsense")
    assert done.returncode == 13
    assert "--listen" in done.stderr or "listen at" in done.stderr


def test_an_unknown_upstream(program):
    done = program("mirror", "serve", "--upstream", "apt=https://a.example/")
    assert done.returncode == 13
    assert "npm, pypi, bundles, pyodide" in done.stderr


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ToolchainError) as caught:
        mirror_serve.require_extra()
    assert "pyodide-offline[mirror]" in caught.value.next_step


@pytest.mark.parametrize(
    ("text", "size"), [("5", 5), ("2K", 2048), ("1M", 1 << 20), ("3GiB", 3 << 30), ("1gb", 1 << 30)]
)
def test_sizes(text, size):
    assert mirror_serve._size(text) == size
