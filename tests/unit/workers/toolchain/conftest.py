"""Stand-ins for programs: shell scripts that answer as the real ones do and keep a count."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Program = Callable[[str, str], Path]


@pytest.fixture
def bin_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The first folder on PATH, after it only what a shell script needs."""
    folder = tmp_path / "user bin"
    folder.mkdir()
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("cat", "mkdir", "touch", "readlink", "env"):
        found = next(
            Path(one) / name for one in ("/bin", "/usr/bin") if (Path(one) / name).exists()
        )
        (tools / name).symlink_to(found)
    monkeypatch.setenv("PATH", f"{folder}:{tools}")
    return folder


@pytest.fixture
def program(bin_dir: Path) -> Program:
    """Make a program on PATH out of a shell text."""
    if sys.platform == "win32":
        pytest.skip("the stand-ins are shell scripts")

    def make(name: str, text: str) -> Path:
        path = bin_dir / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path

    return make
