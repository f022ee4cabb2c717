"""A command of commands."""

import importlib

import click
import pytest

from pyodide_offline.cli import app
from pyodide_offline.cli.group import Group


@pytest.mark.parametrize("name", ["cache", "toolchain", "patch", "browser", "kit", "mirror"])
def test_no_sentence_in_a_list_of_commands_is_cut(name):
    module, _, attribute = app.COMMANDS[name][0].partition(":")
    command = getattr(importlib.import_module(f"pyodide_offline.cli.{module}"), attribute)
    assert isinstance(command, Group)
    text = command.get_help(click.Context(command, info_name=name, terminal_width=80))
    shown = text.partition("Commands:")[2]
    assert shown
    assert "..." not in shown
    for below in command.commands.values():
        assert below.get_short_help_str(200).split()[-1] in shown
