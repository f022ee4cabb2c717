"""The README is run: its help texts are the program's, its commands and options exist.

Every ```console block of README.md and docs/*.md is read. A line ``$ pyodide-offline …
--help`` (or ``--version``) is executed and the lines after it, up to the next ``$`` or
the end of the block, must be its output, as it is 80 columns wide. Of other lines that
call pyodide-offline or a script, each command and option must be in that one's help.
"""

import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "pyodide-offline"
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OPTION = re.compile(r"(?<![\w-])--?[a-zA-Z][\w-]*")


def calls(text: str) -> list[tuple[str, str]]:
    """Return each command of a page's console blocks with the output shown for it."""
    found: list[tuple[str, str]] = []
    for block in BLOCK.findall(text):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((command.strip(), output.rstrip()))
    return found


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CALLS = [
    pytest.param(command, output, id=f"{page.name}: {command[:60]}")
    for page in PAGES
    for command, output in calls(page.read_text(encoding="utf-8"))
]


def ours(words: list[str]) -> list[str]:
    """Return the part of a command line that calls this project: program and arguments."""
    while words and "=" in words[0]:
        words = words[1:]
    if words[:1] == [PROGRAM]:
        return words
    if words[:1] == ["python3"] and words[1:2] and words[1].startswith("scripts/"):
        return words[1:]
    return []


@cache
def output_of(*words: str) -> str:
    """Run the program, or a script, and return what it prints."""
    program, *arguments = words
    command = (
        [str(Path(sys.executable).parent / PROGRAM)]
        if program == PROGRAM
        else [sys.executable, str(ROOT / program)]
    )
    plain = {"NO_COLOR": "1", "COLUMNS": "80", "TERM": "dumb", "PYTHONWARNINGS": "error"}
    done = subprocess.run(
        [*command, *arguments],
        env={**os.environ, **plain},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return "\n".join(line.rstrip() for line in done.stdout.strip().splitlines())


def options_of(text: str) -> set[str]:
    return set(OPTION.findall(text))


def own_arguments(arguments: list[str]) -> list[str]:
    """Return the arguments before ``--``: after it comes somebody else's command."""
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def commands_in(help_text: str) -> set[str]:
    """Return the names in a help text's list of commands; empty for one without."""
    _, _, listed = help_text.partition("Commands:\n")
    return {line.split()[0] for line in listed.splitlines() if re.match(r"  [a-z]", line)}


@pytest.mark.parametrize(("command", "shown"), CALLS)
def test_console_block(command: str, shown: str) -> None:
    words = ours(shlex.split(command, comments=True))
    if not words:
        return
    if words[-1] in {"--help", "--version"}:
        assert output_of(*words) == shown, f"what {command} prints has changed"
        return
    program, arguments = words[:1], own_arguments(words[1:])
    known = options_of(output_of(*program, "--help"))
    # Descend into the commands that are named: `cache list -v` is two of them.
    while names := commands_in(output_of(*program, "--help")):
        name = next((word for word in arguments if not word.startswith("-")), None)
        assert name in names, f"{command}: there is no command {name!r} in {sorted(names)}"
        arguments = arguments[arguments.index(name) + 1 :]
        program = [*program, name]
        known |= options_of(output_of(*program, "--help"))
    used = {word.partition("=")[0] for word in arguments if word.startswith("-")}
    assert used <= known, f"{command}: {program} has no {sorted(used - known)}"


def test_readme_shows_the_program_and_its_two_commands() -> None:
    shown = [command for command, _ in calls((ROOT / "README.md").read_text(encoding="utf-8"))]
    assert f"{PROGRAM} --help" in shown
    assert any(command.startswith("python3 scripts/demo.py") for command in shown)
    assert any(command.startswith("python3 scripts/test.py") for command in shown)


def test_calls_are_found_with_their_output() -> None:
    page = "text\n```console\n$ one --help\nUsage: one\n\n  x\n$ two\n```\n```toml\n$ three\n```\n"
    assert calls(page) == [("one --help", "Usage: one\n\n  x"), ("two", "")]


def test_only_calls_of_this_project_are_checked() -> None:
    assert ours(["A=1", PROGRAM, "run"]) == [PROGRAM, "run"]
    assert ours(["python3", "scripts/demo.py", "--check"]) == ["scripts/demo.py", "--check"]
    assert ours(["npx", "wrangler", "dev"]) == []
    assert own_arguments(["run", "--offline", "--", "x", "--y"]) == ["run", "--offline"]
    assert commands_in("Usage\n\nCommands:\n  run   start\n  cache keep\n") == {"run", "cache"}
