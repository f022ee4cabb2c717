"""Run the Starlette example on many wranglers: `python3 scripts/matrix.py [WRANGLER…]`.

Each wrangler is brought and started by `pyodide-offline run`; home, form and counter are
asked of each, with the newest compatibility date that its workerd knows and, where that is
Python 3.14 or can be, with one of Python 3.13. Prints a table; the exit status is 1 if a
row failed. Python packages are vendored once per Python with uv, because pywrangler takes
no wrangler below 4.127.1. Standard library only.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import bootstrap
import demo
from bootstrap import ROOT, say

WRANGLERS = ("4.57.0", "4.86.0", "4.100.0", "4.127.1", "4.140.0", "4.160.0", "4.164.0")
PACKAGES = ("starlette", "python-multipart")
# Since April 2026 the modules `workers` and `asgi` are no longer in the runtime, and the
# package that has them does not run on a runtime that still has its own.
SDK, SDK_SINCE = "workers-runtime-sdk", "2026-04-26"
PYTHON_314_SINCE = "2026-09-08"
OLDER_DATE = "2025-11-02"
# The first release whose workerd can run both.
BOTH_SINCE = "2026-08-28"
HEAD = ("WRANGLER", "WORKERD", "DATE", "PYTHON", "HOME", "FORM", "COUNTER", "SECONDS", "WHAT RAN")


@dataclass
class Row:
    """One start: what was asked for, and how each page answered."""

    wrangler: str
    workerd: str
    date: str
    python: str
    home: str = "-"
    form: str = "-"
    counter: str = "-"
    seconds: float = 0
    ran: str = ""

    @property
    def right(self) -> bool:
        """Whether every page answered as it should."""
        return (self.home, self.form, self.counter) == ("ok", "ok", "ok")

    def cells(self) -> tuple[str, ...]:
        """Return the row as texts."""
        pages = (self.home, self.form, self.counter)
        start = (self.wrangler, self.workerd, self.date, self.python)
        return (*start, *pages, f"{self.seconds:.1f}", self.ran)


def main() -> int:
    """Start one wrangler after the other, and print what each answered."""
    options = parse(sys.argv[1:])
    try:
        program = options.program or str(bootstrap.bin_dir(demo.install()) / "pyodide-offline")
        with tempfile.TemporaryDirectory(prefix="pyodide-offline-matrix-") as name:
            runner = Runner(program, Path(name), options.timeout)
            rows = []
            for wrangler in options.wranglers or WRANGLERS:
                try:
                    asked = runner.rows(wrangler)
                except demo.DemoError as error:
                    say(str(error))
                    rows.append(Row(wrangler, "-", "-", "-", ran="cannot be had"))
                    continue
                for row in asked:
                    rows.append(runner.run(row))
                    say(f"  {'  '.join(row.cells())}")
    except KeyboardInterrupt:
        return 130
    except (demo.DemoError, bootstrap.CannotPrepareError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print_table(rows)
    return 0 if all(row.right for row in rows) else 1


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="matrix.py", description="Try many wranglers.")
    parser.add_argument("wranglers", nargs="*", metavar="WRANGLER", help="a version of wrangler")
    parser.add_argument("--program", metavar="PATH", help="the pyodide-offline to use")
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=float,
        default=300,
        help="wait so long for each first answer (default: %(default)s)",
    )
    return parser.parse_args(arguments)


class Runner:
    """Starts the example on one wrangler after the other, in a folder of its own."""

    def __init__(self, program: str, scratch: Path, timeout: float) -> None:
        self.program = program
        self.scratch = scratch
        self.timeout = timeout

    def rows(self, wrangler: str) -> list[Row]:
        """Return what to try on a wrangler; its workerd tells its own date."""
        empty = self.scratch / "empty"
        empty.mkdir(exist_ok=True)
        script = '"$PYODIDE_OFFLINE_WORKERD" --version'
        said = self._output(["run", "--wrangler", wrangler, "--", "sh", "-c", script], empty)
        found = re.search(r"workerd (\d{4}-\d\d-\d\d)", said)
        if not found:
            raise demo.DemoError(f"wrangler {wrangler}: its workerd tells no date: {said}")
        own = found[1]
        python = "3.14" if own >= PYTHON_314_SINCE else "3.13"
        rows = [Row(wrangler, own, own, python)]
        if own >= BOTH_SINCE:
            rows.append(Row(wrangler, own, OLDER_DATE, "3.13"))
        return rows

    def run(self, row: Row) -> Row:
        """Start the example as a row says, and fill in how it answered."""
        project = self._project(row)
        begun = time.monotonic()
        try:
            with self._started(row, project) as url:
                row.seconds = time.monotonic() - begun
                row.home = judge(demo.between_tags(demo.get(url), "h1").startswith("Hello"))
                greeting = demo.get(f"{url}/form", {"name": demo.NAME})
                row.form = judge(demo.NAME in greeting)
                counts = [demo.get(f"{url}/counter").strip() for _ in range(2)]
                row.counter = judge(counts == ["1", "2"])
                row.ran = demo.get(f"{url}/version").split()[0]
                if not row.ran.startswith(row.python):
                    row.home = f"Python {row.ran}"
        except (demo.DemoError, OSError, HTTPException) as error:
            row.ran = f"{type(error).__name__}: {error}"
        return row

    def _project(self, row: Row) -> Path:
        name = f"{row.wrangler}-{row.date}"
        project = demo.dated_copy(ROOT / "examples" / "starlette", self.scratch / name, row.date)
        # Its packages are in place; nobody is to sync them.
        (project / "pyproject.toml").unlink()
        shutil.copytree(self._vendored(row), project / "python_modules")
        return project

    def _vendored(self, row: Row) -> Path:
        packages = [*PACKAGES, *([SDK] if row.workerd >= SDK_SINCE else [])]
        folder = self.scratch / f"modules-{row.python}-{len(packages)}"
        if not folder.exists():
            self._output(["toolchain", "install"], self.scratch)
            path = self._output(["toolchain", "path"], self.scratch).strip()
            uv = shutil.which("uv", path=os.pathsep.join([path, os.environ.get("PATH", "")]))
            if uv is None:
                raise demo.DemoError("There is no uv, not even a managed one.")
            target = ["--target", str(folder), "--python-version", row.python, "--no-build"]
            platform = ["--python-platform", "wasm32-pyodide2024"]
            # A company's authority is in the system's list, and not in uv's own.
            install = [uv, "pip", "install", "--quiet", "--system-certs"]
            checked([*install, *target, *platform, *packages], self.scratch)
        return folder

    @contextmanager
    def _started(self, row: Row, project: Path) -> Iterator[str]:
        port = demo.free_port()
        state = ["--persist-to", str(project / "state")]
        wrangler = ["wrangler", "dev", "--ip", "127.0.0.1", "--port", str(port), *state]
        log = project.with_suffix(f"{project.suffix}.log")
        say(f"wrangler {row.wrangler}, date {row.date}, Python {row.python}")
        with log.open("w") as output:
            child: subprocess.Popen[str] = subprocess.Popen(
                [self.program, "run", "--wrangler", row.wrangler, "--", *wrangler],
                cwd=project,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                start_new_session=True,
            )
            url = f"http://127.0.0.1:{port}"
            try:
                demo.wait_for_answer(child, url, self.timeout)
                yield url
            except (demo.DemoError, OSError, HTTPException):
                say(log.read_text(encoding="utf-8", errors="replace")[-3000:])
                raise
            finally:
                demo.end(child)

    def _output(self, arguments: Sequence[str], folder: Path) -> str:
        return checked([self.program, *arguments], folder)


def checked(command: Sequence[str], folder: Path) -> str:
    """Run a command and return what it printed. Raises DemoError if it fails."""
    done = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode != 0:
        raise demo.DemoError(f"{' '.join(command)}: status {done.returncode}\n{done.stderr}")
    return done.stdout


def judge(right: bool) -> str:
    """Return the word for an answer."""
    return "ok" if right else "WRONG"


def print_table(rows: Sequence[Row]) -> None:
    """Print all rows below each other."""
    lines = [HEAD, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    say("")
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        say("  ".join(cells).rstrip())


if __name__ == "__main__":
    sys.exit(main())
