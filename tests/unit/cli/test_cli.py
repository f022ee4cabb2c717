"""The command line as a person meets it."""

import importlib
import os
import subprocess
import sys

import click
import pytest

from pyodide_offline import __version__, paths
from pyodide_offline.cli import app


@pytest.fixture
def program(tmp_path):
    """Start the program in an empty folder; returns what it left."""
    folder = tmp_path / "somewhere"
    folder.mkdir()

    def start(*arguments, **environ):
        return subprocess.run(
            [sys.executable, "-m", "pyodide_offline", *arguments],
            cwd=folder,
            env={
                **os.environ,
                paths.STORE_VARIABLE: str(tmp_path / "store"),
                paths.CACHE_VARIABLE: str(tmp_path / "cache"),
                **environ,
            },
            capture_output=True,
            encoding="utf-8",
            check=False,
        )

    start.folder = folder
    return start


def test_the_table_and_the_commands_agree():
    for name, (place, _) in app.COMMANDS.items():
        module, _, attribute = place.partition(":")
        command = getattr(importlib.import_module(f"pyodide_offline.cli.{module}"), attribute)
        assert isinstance(command, click.Command)
        assert command.name == name
        assert command.help


def test_every_option_of_every_command_has_a_help_text():
    def walk(command, path):
        yield from ((path, option) for option in command.params if isinstance(option, click.Option))
        for name, below in getattr(command, "commands", {}).items():
            yield from walk(below, f"{path} {name}")

    context = click.Context(app.app)
    for name in app.COMMANDS:
        command = app.app.get_command(context, name)
        for path, option in walk(command, name):
            assert option.help, f"{path} {option.opts}"


def test_help_loads_no_command(program):
    code = (
        "import sys; sys.argv = ['x', '--help']\n"
        "from pyodide_offline.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'httpx', 'rich', 'filelock', 'capnp', 'asyncio', 'truststore', 'tomllib'}\n"
        "print('loaded:', sorted(heavy & set(sys.modules)))\n"
        "print('commands:', [m for m in sys.modules if m.endswith('cli.run')])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "loaded: []\ncommands: []\n" in done.stdout


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_shows_commands_and_examples(program, word):
    done = program(word)
    assert done.returncode == 0
    assert "pyodide-offline run -- pywrangler dev" in done.stdout
    assert all(name in done.stdout for name in app.COMMANDS)


@pytest.mark.parametrize("name", list(app.COMMANDS))
def test_each_command_has_help_with_an_example(program, name):
    done = program(name, "--help")
    assert done.returncode == 0
    assert "Examples:" in done.stdout


def test_the_version(program):
    assert program("--version").stdout.strip().endswith(__version__)


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["run"], ["prefetch", "--date", "2026-01-01"], ["prefetch", "--bundle", "x"]],
)
def test_wrong_use_is_status_2(program, arguments):
    done = program(*arguments)
    assert done.returncode == 2
    assert "Usage:" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_users_mistake_is_said_in_lines_with_its_status(program):
    (program.folder / "wrangler.toml").write_text("main = ")
    done = program("prefetch")
    assert done.returncode == 8
    assert done.stderr.startswith("error[project]: ")
    assert 1 <= len(done.stderr.splitlines()) <= 3


def test_with_json_an_error_is_json(program):
    import json

    (program.folder / "wrangler.toml").write_text("main = ")
    done = program("prefetch", "--json")
    assert json.loads(done.stderr)["error"]["code"] == "project"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed(program, shell):
    done = program("completion", shell)
    assert done.returncode == 0
    assert "_PYODIDE_OFFLINE_COMPLETE" in done.stdout


def test_cache_path_obeys_option_then_variable(program, tmp_path):
    assert program("cache", "path").stdout.strip() == str(tmp_path / "store")
    assert program("cache", "path", "--store-dir", "/x").stdout == "/x\n"
    assert program("cache", "path", "--bundles").stdout.strip() == str(tmp_path / "cache")


def test_cache_list_of_an_empty_store(program):
    done = program("cache", "list", "--json")
    assert (done.returncode, done.stdout.strip()) == (0, "[]")


def test_offline_forbids_to_fetch(program):
    (program.folder / "wrangler.toml").write_text(
        'main = "a.py"\ncompatibility_date = "2026-11-17"\n'
    )
    done = program("prefetch", "--offline")
    assert done.returncode == 12
    assert "--offline forbids" in done.stderr


def test_a_reader_that_goes_away_is_no_error(program, tmp_path):
    line = f"{sys.executable} -m pyodide_offline --help | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    assert "Traceback" not in done.stderr
