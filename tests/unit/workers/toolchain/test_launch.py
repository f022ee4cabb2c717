"""How wrangler is started: past its own first process where its text is known."""

import json
from pathlib import Path

import pytest

from pyodide_offline.workers.toolchain import launch
from pyodide_offline.workers.toolchain.node import Node

NODE = Node(Path("/a node/node"), "24.0.0", ("npm",), Path("/a node"), managed=False)
KNOWN = """#!/usr/bin/env node
function runWrangler() {
\treturn spawn(
\t\tprocess.execPath,
\t\t[
\t\t\t"--no-warnings",
\t\t\t"--experimental-vm-modules",
\t\t\t...process.execArgv,
\t\t\tpath.join(__dirname, "../wrangler-dist/cli.js"),
\t\t\t...process.argv.slice(2),
\t\t],
\t\t{ stdio: ["inherit", "inherit", "inherit", "ipc"] }
\t)
}
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """wrangler as npm lays it out."""
    folder = tmp_path / "a wrangler"
    for name in ("bin/wrangler.js", "wrangler-dist/cli.js"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(KNOWN)
    (folder / "package.json").write_text(json.dumps({"bin": {"wrangler": "./bin/wrangler.js"}}))
    return folder


def started(package: Path) -> tuple[str, ...]:
    program = launch.program(package)
    assert program is not None
    return launch.command(NODE, program)


def test_the_real_program_is_started_with_what_the_command_hands_on(package: Path) -> None:
    words = started(package)
    assert words[0] == "/a node/node"
    assert words[-3:] == (
        "--no-warnings",
        "--experimental-vm-modules",
        str(package / "wrangler-dist" / "cli.js"),
    )


def test_the_keeper_of_compiled_code_is_loaded_first(package: Path) -> None:
    words = started(package)
    loader = Path(words[words.index("--require") + 1])
    assert f"process.env.{launch.KEPT_CODE};" in loader.read_text()
    assert words.index(str(loader)) < words.index("--no-warnings")


def test_a_linked_command_is_followed_to_its_package(package: Path, tmp_path: Path) -> None:
    link = tmp_path / "wrangler"
    link.symlink_to(package / "bin" / "wrangler.js")
    assert launch.command(NODE, link)[-1] == str(package / "wrangler-dist" / "cli.js")


@pytest.mark.parametrize(
    "text",
    [
        KNOWN.replace("...process.execArgv,", ""),
        KNOWN.replace('"--no-warnings"', "quiet()"),
        KNOWN.replace("__dirname", "elsewhere"),
        KNOWN.replace("process.execPath", "node()"),
        KNOWN.replace("cli.js", "gone.js"),
        "",
        "\0binary",
    ],
)
def test_a_command_of_another_text_is_started_itself(package: Path, text: str) -> None:
    (package / "bin" / "wrangler.js").write_text(text)
    assert started(package)[-1] == str(package / "bin" / "wrangler.js")
    assert "--no-warnings" not in started(package)


@pytest.mark.parametrize("manifest", ["", "[]", "{}", '{"bin": {"wrangler": "./gone.js"}}'])
def test_a_package_without_a_command_has_none(package: Path, manifest: str) -> None:
    (package / "package.json").write_text(manifest)
    assert launch.program(package) is None
