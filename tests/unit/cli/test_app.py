"""The group that loads a command only when it is used."""

import importlib
import subprocess
import sys

import click

from pyodide_offline.cli import app


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
