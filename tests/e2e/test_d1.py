"""D1 on this machine: the counter goes on after a restart, and where its data lies."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.conftest import PROGRAM, Machine
from tests.peers.wrangler import copy_example, started

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

COMMANDS = {"javascript": ["npx", "wrangler", "dev"], "starlette": ["pywrangler", "dev"]}
# workerd makes its own table once a bookmark is asked for: only a D1 session asks (docs/d1.md).
TABLES = {"javascript": {"page_views", "_cf_METADATA"}, "starlette": {"page_views"}}


@pytest.mark.parametrize("example", COMMANDS)
def test_the_counter_survives_a_restart_and_its_tables_can_be_read(
    machine: Machine, prefetched: Path, tmp_path: Path, example: str
) -> None:
    project = prefetched if example == "starlette" else copy_example(example, tmp_path / "a worker")
    state = tmp_path / "my state"
    command = [PROGRAM, "run", "--", *COMMANDS[example], "--persist-to", str(state)]
    values = []
    for start in ("first", "second"):
        log = tmp_path / f"{start}.log"
        with started(command, project, env=machine.env, log=log, timeout=600) as server:
            assert "Hello" in server.get("/")
            assert "Hello, Ada &amp; Grace!" in server.post("/form", name="Ada & Grace")
            values += [int(server.get("/counter")) for _ in range(2)]
    assert values == [1, 2, 3, 4]

    folder = state / "v3" / "d1" / "miniflare-D1DatabaseObject"
    # Beside a worker's database lies workerd's own, for alarms.
    files = [path for path in folder.glob("*.sqlite") if path.stem != "metadata"]
    assert len(files) == 1, sorted(folder.iterdir())
    with closing(sqlite3.connect(f"{files[0].as_uri()}?mode=ro", uri=True)) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        assert {name for (name,) in tables} == TABLES[example]
        assert database.execute("SELECT * FROM page_views").fetchall() == [("visits", 4)]


def test_a_state_of_ones_own_begins_anew(machine: Machine, tmp_path: Path) -> None:
    project = copy_example("javascript", tmp_path / "a worker")
    for name in ("one", "two"):
        command = [PROGRAM, "run", "--", "npx", "wrangler", "dev", "--persist-to", name]
        log = tmp_path / f"{name}.log"
        with started(command, project, env=machine.env, log=log, timeout=600) as server:
            assert server.get("/counter") == "1\n"
        assert list(project.glob(f"{name}/v3/d1/*/*.sqlite"))
