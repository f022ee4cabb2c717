"""What V8 made of a large file, kept: used for exactly that text, and for no other."""

import shutil
import subprocess
import zlib
from dataclasses import dataclass
from pathlib import Path

import pytest

from pyodide_offline.workers.toolchain import launch
from tests.e2e.conftest import PROGRAM, Machine

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

# All that a module can know of how it was loaded. It stays until its code is kept, if told to.
SOURCE = """\
const fs = require("node:fs");
const facts = async () => ({
  said: "first ",
  main: require.main === module,
  names: [__filename, __dirname, module.id, module.paths, require.resolve("./beside")],
  lookup: require.resolve.paths("x"),
  beside: require("./beside"),
  dynamic: (await import("./dynamic.mjs")).default,
  cached: Object.keys(require.cache),
  itself: this === module.exports,
  place: new Error().stack.split("\\n")[1],
});
facts().then((found) => {
  console.log(JSON.stringify(found));
  const folder = process.env.STAYS;
  const whole = () => fs.existsSync(folder) && fs.readdirSync(folder).some((n) => !n.includes("."));
  if (folder) setInterval(() => whole() && process.exit(), 50);
});
"""
PADDING = "// " + "x" * (1 << 20) + "\n"
# Where the source's CRC stands in a kept file.
CRC = slice(4, 8)


@dataclass(frozen=True)
class Program:
    """A large program, and the folder in which its code is kept."""

    node: str
    folder: Path
    code: Path

    def write(self, text: str) -> None:
        (self.folder / "large.js").write_text(text + PADDING)
        (self.folder / "beside.js").write_text("module.exports = module.parent.id;")
        (self.folder / "dynamic.mjs").write_text("export default import.meta.filename;")

    def run(self, *, kept: bool = True, stays: bool = False) -> str:
        env = {launch.KEPT_CODE: str(self.code)} if kept else {}
        if stays:
            env["STAYS"] = str(self.code)
        loader = Path(launch.__file__).with_name("kept_code.js")
        options = ["--no-warnings", "--require", str(loader)]
        command = [self.node, *options, str(self.folder / "large.js"), "dev"]
        done = subprocess.run(
            command, env=env, capture_output=True, encoding="utf-8", timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return done.stdout

    @property
    def file(self) -> Path:
        (found,) = self.code.iterdir()
        return found


@pytest.fixture(scope="module")
def warm(machine: Machine, prefetched: Path, tmp_path_factory: pytest.TempPathFactory) -> Program:
    """A program that was started once, and stayed until its code was kept."""
    node = subprocess.run(
        [PROGRAM, "run", "-q", "--", "sh", "-c", "command -v node"],
        cwd=prefetched,
        env=machine.env,
        capture_output=True,
        encoding="utf-8",
        check=True,
    ).stdout.strip()
    place = tmp_path_factory.mktemp("kept code")
    program = Program(node, place / "a program", place / "code")
    program.folder.mkdir()
    program.write(SOURCE)
    program.run(stays=True)
    return program


@pytest.fixture
def program(warm: Program, tmp_path: Path) -> Program:
    """The same at the same place, as it was, with kept code of its own to spoil."""
    warm.write(SOURCE)
    return Program(warm.node, warm.folder, shutil.copytree(warm.code, tmp_path / "code"))


def test_a_module_sees_no_difference(program: Program) -> None:
    assert program.run() == program.run(kept=False)


def test_the_kept_code_is_what_runs(program: Program) -> None:
    # A text of the same length whose CRC was written in: V8 looks no closer.
    program.write(SOURCE.replace("first ", "second"))
    whole = bytearray(program.file.read_bytes())
    crc = zlib.crc32((program.folder / "large.js").read_bytes())
    whole[CRC] = crc.to_bytes(4, "little")
    program.file.write_bytes(whole)
    assert '"first "' in program.run()


def test_another_text_of_the_same_length_runs_as_it_is(program: Program) -> None:
    program.write(SOURCE.replace("first ", "second"))
    assert '"second"' in program.run()


@pytest.mark.parametrize("at", [0, 8, 12, -1, None])
def test_damaged_code_is_not_run(program: Program, at: int | None) -> None:
    whole = bytearray(program.file.read_bytes())
    if at is None:
        del whole[len(whole) // 2 :]
    else:
        whole[at] ^= 0xFF
    program.file.write_bytes(whole)
    assert program.run() == program.run(kept=False)
