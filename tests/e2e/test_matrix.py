"""The Starlette example on the first wrangler, one of the middle and the last."""

import subprocess
import sys

import pytest

from tests.e2e.conftest import PROGRAM, Machine
from tests.peers.wrangler import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

# An interface of bundles each: read as data without a digest; the earlier module, under a
# flag that a dated one would win over; the newest.
WRANGLERS = ["4.57.0", "4.127.1", "4.164.0"]


@pytest.mark.parametrize("wrangler", WRANGLERS)
def test_home_form_and_counter_answer(machine: Machine, wrangler: str) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "matrix.py", "--program", PROGRAM, wrangler],
        env=machine.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=1500,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    _, _, table = done.stdout.partition("WRANGLER ")
    rows = [line.split() for line in table.splitlines()[1:] if line.strip()]
    assert [row[0] for row in rows] == [wrangler] * (1 if wrangler == "4.57.0" else 2), done.stdout
    assert all(row[4:7] == ["ok", "ok", "ok"] for row in rows), done.stdout
