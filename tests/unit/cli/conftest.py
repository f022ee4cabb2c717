"""The program, started in an empty folder."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from pyodide_offline import paths


@dataclass(frozen=True)
class Program:
    """Call it with arguments and variables; ``folder`` is where it starts."""

    folder: Path
    start: Callable[..., "subprocess.CompletedProcess[str]"]

    def __call__(self, *arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        return self.start(*arguments, **environ)


@pytest.fixture
def program(tmp_path: Path) -> Program:
    folder = tmp_path / "somewhere"
    folder.mkdir()

    def start(*arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
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

    return Program(folder, start)
