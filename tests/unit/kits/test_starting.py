"""kit.pyz as it lies in a kit: started by a bare Python, in isolation from this package."""

import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.peers import kits

Start = Callable[..., "subprocess.CompletedProcess[str]"]
KEY = kits.key().public.line


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Return a function that starts the kit.pyz of a kit with arguments."""
    folder = tmp_path / "target"
    kits.kit(folder / "my.kit")
    with tarfile.open(folder / "my.kit") as tar:
        (folder / "kit.pyz").write_bytes(tar.extractfile("kit.pyz").read())  # type: ignore[union-attr]

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        # -I -S: neither this folder nor any installed package can be imported.
        return subprocess.run(
            [sys.executable, "-I", "-S", "kit.pyz", *arguments],
            cwd=folder,
            env={"HOME": str(folder), "PATH": os.defpath},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_a_kit_is_verified_and_unpacked_with_the_standard_library_only(
    start: Start, tmp_path: Path
) -> None:
    done = start("verify", "my.kit", "--key", KEY)
    assert (done.returncode, done.stdout) == (0, "well: example, serial 7, 4 items\n"), done.stderr
    done = start("unpack", "my.kit", "--trust-on-first-use")
    assert done.returncode == 0, done.stderr
    assert "4 blobs written" in done.stdout
    assert "4 there before" in start("unpack", "my.kit").stdout
    assert (tmp_path / "target" / ".cache/pyodide-offline/v1/kits/current").exists()
    assert "@scope/npm-one 1.0.0" in start("inspect", "my.kit").stdout
    done = start("rollback")
    assert done.returncode == 9
    assert "no generation before" in done.stderr


def test_exit_bits_add_up_and_unpacking_says_why_not(start: Start, tmp_path: Path) -> None:
    kit = tmp_path / "target" / "my.kit"
    data = bytearray(kit.read_bytes())
    data[data.rindex(b"TARball")] ^= 1
    kit.write_bytes(data[:-100])
    done = start("verify", "my.kit")
    assert done.returncode == 7
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == [
        "untrusted",
        "corrupt",
        "incomplete",
    ]
    done = start("unpack", "my.kit")
    assert done.returncode == 20
    assert "error[untrusted]: The kit is not unpacked." in done.stderr
    done = start("unpack", "my.kit", "--key", KEY)
    assert done.returncode == 5
    assert "error[integrity]: The kit is not unpacked.\n  corrupt: " in done.stderr
    assert start("verify", "none").returncode == 9
    assert start("verify", "my.kit", "--key", "RW").returncode == 13


def test_run_wants_a_command_and_a_kit(start: Start) -> None:
    nothing = start("run", "my.kit", "--key", KEY)
    assert nothing.returncode == 13
    assert "-- pywrangler dev" in nothing.stderr
    no_kit = start("run", "--", "true")
    assert "No kit was unpacked here" in no_kit.stderr
    assert start("verify", "my.kit", "--", "true").returncode == 13


def test_run_takes_no_kit_that_is_not_trusted_or_cannot_run(start: Start) -> None:
    done = start("run", "my.kit", "--", "true")
    assert (done.returncode, "error[untrusted]" in done.stderr) == (20, True)
    done = start("run", "my.kit", "--key", KEY, "--", "true")
    assert done.returncode == 11
    assert "does not bring the program" in done.stderr
