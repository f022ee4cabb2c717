"""Kits packed, unpacked and run from, killed at random moments and started again.

What a start leaves is compared, file by file, with what an undisturbed one left. A start of
``kit.pyz run FILE`` lays out this product, Node, wrangler, pywrangler, the interpreter, the
bundle and the worker's packages.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from pyodide_offline.kits import unpacking
from tests.peers.onlypython import Elsewhere
from tests.peers.wrangler import copy_example

# What is made while programs run, or is remembered by file times.
_OTHERWISE = {"__pycache__", "locks", "memos", "trust", "lock"}
# They name the folder of another name that they were made in, which is another each time.
_NAMING = {"activate", "activate.csh", "activate.fish", "pyvenv.cfg"}
# What is written beside its place, and renamed: a kill may leave it, and nobody reads it.
_BESIDE = re.compile(r"\..+\.[a-z0-9_]{8}")
_WHILE = 20  # seconds that what is left of a start may take to notice


class Killing(ABC):
    """Starts of one command. ``kills`` counts those that came before its end."""

    def __init__(
        self, command: Sequence[str | Path], folder: Path, environ: Mapping[str, str], seed: int
    ) -> None:
        self.kills = 0
        self._command, self._folder, self._environ = command, folder, dict(environ)
        self._chance = random.Random(seed)  # noqa: S311 - the same moments each time
        self._groups: list[int] = []
        self.anew()
        begun = time.monotonic()
        self.reference = self.finish()
        self._span = time.monotonic() - begun

    @abstractmethod
    def anew(self) -> None:
        """Have nothing there of what a start leaves."""

    @abstractmethod
    def holds(self) -> None:
        """Hold that what was acknowledged before is there."""

    @abstractmethod
    def state(self) -> dict[str, str]:
        """Return every file that a start left, with its digest."""

    def strike(self, *, alone: bool) -> None:
        """Start, and kill at a random moment: the one process ``alone``, or all that it began.

        What it began then goes on beside the next start, until it notices. A start that ended
        before its moment is begun anew from nothing.
        """
        while True:
            start = self._start()
            try:
                out, _ = start.communicate(timeout=self._chance.uniform(0, self._span))
            except subprocess.TimeoutExpired:
                break
            assert start.returncode == 0, out
            self.anew()
        if alone:
            start.kill()
        else:
            os.killpg(start.pid, signal.SIGKILL)
        start.wait()
        if start.stdout:
            start.stdout.close()
        self.kills += 1
        self.holds()

    def finish(self) -> dict[str, str]:
        """Start it to its end; return every file that is there then, with its digest."""
        start = self._start()
        out, _ = start.communicate(timeout=600)
        assert start.returncode == 0, out
        self.holds()
        return self.state()

    def differing(self) -> list[str]:
        """Start it to its end, and return what is not as an undisturbed start left it."""
        now = self.finish()
        names = sorted({*self.reference, *now})
        return [name for name in names if self.reference.get(name) != now.get(name)]

    def close(self) -> list[str]:
        """End what still runs of all starts; return what that was after a while to notice."""
        deadline = time.monotonic() + _WHILE
        while (left := self._running()) and time.monotonic() < deadline:
            time.sleep(0.1)
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return list(left.values())

    def _start(self) -> "subprocess.Popen[str]":
        start = subprocess.Popen(
            self._command,
            cwd=self._folder,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            start_new_session=True,
        )
        self._groups.append(start.pid)
        return start

    def _running(self) -> dict[int, str]:
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError, ValueError, IndexError):
                after = (folder / "stat").read_text().rpartition(")")[2].split()
                if after[0] != "Z" and int(after[2]) in self._groups:
                    found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
        return found


class Taking(Killing):
    """`kit.pyz run` or `unpack` of a kit on a machine where only Python is."""

    def __init__(self, folder: Path, kit: Path, key: Path, *, seed: int, run: bool = True) -> None:
        self._machine = Elsewhere(folder, kit, key)
        self._project = folder / "a project"
        self._bundles = Path(self._machine.environ["PYODIDE_OFFLINE_CACHE_DIR"])
        self._root = self._machine.home / ".cache" / "pyodide-offline" / "v1" / "kits"
        self._acknowledged = ""
        command: list[str | Path] = [*self._machine.command(["sh", "-c", ":"])]
        if not run:
            command = ["python3", self._machine.program, "unpack", kit, "--key", key]
        super().__init__(command, self._project, self._machine.environ, seed)

    def anew(self) -> None:
        for folder in (self._machine.home, self._bundles, self._project):
            shutil.rmtree(folder, ignore_errors=True)
        self._machine.home.mkdir()
        copy_example("starlette", self._project)
        self._acknowledged = ""

    def holds(self) -> None:
        now = unpacking.current(self._root) if self._root.exists() else None
        if now is None:
            assert not self._acknowledged
            return
        assert self._acknowledged in ("", now.name)
        self._acknowledged = now.name
        for item in now.manifest.items:
            assert now.path(item).stat().st_size == item.size, item

    def state(self) -> dict[str, str]:
        return _files((self._machine.home, self._bundles, self._project))


class Packing(Killing):
    """`kit pack` of a project whose archives the store has, on the machine that has them."""

    def __init__(
        self, folder: Path, project: Path, key: Path, environ: Mapping[str, str], *, seed: int
    ) -> None:
        self._to = folder / "packed"
        program = Path(sys.executable).parent / "pyodide-offline"
        command: list[str | Path] = [program, "kit", "pack", project, "--offline"]
        command += ["-o", self._to / "my.kit"]
        super().__init__([*command, "--sign", key], project, environ, seed)

    def anew(self) -> None:
        shutil.rmtree(self._to, ignore_errors=True)
        self._to.mkdir(parents=True)

    def holds(self) -> None:
        """Hold that nothing but a whole kit has its name."""
        if self.kills and (self._to / "my.kit").exists():
            name = (self._to / "my.kit").relative_to(self._to.parent).as_posix()
            assert self.state()[name] == self.reference[name]

    def state(self) -> dict[str, str]:
        return _files([self._to])


def _files(folders: Sequence[Path]) -> dict[str, str]:
    found = {}
    for top in folders:
        for folder, names, files in os.walk(top):
            names[:] = [
                one for one in names if one not in _OTHERWISE and not _BESIDE.fullmatch(one)
            ]
            for path in (Path(folder, name) for name in (*names, *files)):
                if _BESIDE.fullmatch(path.name):
                    continue
                place = path.relative_to(top.parent).as_posix()
                if path.is_symlink():
                    found[place] = f"-> {path.readlink()}"
                elif path.is_dir() or path.name in _NAMING:
                    found[place] = "there"
                elif path.name not in _OTHERWISE:
                    found[place] = sha256(path.read_bytes()).hexdigest()
    return found
