"""Snapshots: faster starts, and always the new text."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.e2e.conftest import PROGRAM, Machine
from tests.peers.wrangler import Server, started

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

Starter = Callable[..., AbstractContextManager[Server]]
RUN = [PROGRAM, "run", "--offline", "--", "wrangler", "dev"]
# No other test's: what their workers left in this machine's store would serve these too.
DATE = "2026-11-16"
EXAMPLES_DATE = "2026-11-17"
ENTRY = """\
import random

from pages import TEXT
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from workers import WorkerEntrypoint
import asgi
import sys
import helper_library


async def home(request):
    return PlainTextResponse(f"{TEXT} {helper_library.TEXT} {getattr(sys, 'mark', '-')} entry-1")


async def chance(request):
    return PlainTextResponse(str(random.random()))


app = Starlette(routes=[Route("/", home), Route("/chance", chance)])


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return await asgi.fetch(app, request.js_object, self.env)
"""


@pytest.fixture(scope="module")
def worker(prefetched: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Starlette worker with a module and a dependency of its own, packages vendored."""
    project = tmp_path_factory.mktemp("snapshots") / "a project"
    project.mkdir()
    text = (prefetched / "wrangler.toml").read_text()
    assert EXAMPLES_DATE in text
    (project / "wrangler.toml").write_text(text.replace(EXAMPLES_DATE, DATE))
    shutil.copytree(prefetched / "python_modules", project / "python_modules")
    (project / "src").mkdir()
    (project / "src" / "entry.py").write_text(ENTRY)
    (project / "src" / "pages.py").write_text('TEXT = "module-1"\n')
    (project / "python_modules" / "helper_library.py").write_text('TEXT = "library-1"\n')
    return project


@pytest.fixture
def start(machine: Machine, worker: Path, tmp_path: Path) -> Starter:
    def go(*options: str, name: str = "log") -> AbstractContextManager[Server]:
        command = [*RUN[:2], *options, *RUN[2:], "--persist-to", str(tmp_path / "state")]
        return started(command, worker, env=machine.env, log=tmp_path / name, timeout=120)

    return go


def listed(machine: Machine) -> dict[str, str]:
    """The snapshots in the store: name, which begins with the tier, and path."""
    done = subprocess.run(
        [PROGRAM, "cache", "list", "--json"],
        env=machine.env,
        capture_output=True,
        check=True,
    )
    found = json.loads(done.stdout)
    return {one["name"]: one["path"] for one in found if one["kind"] == "snapshot"}


def kept(machine: Machine) -> set[str]:
    return set(listed(machine))


def tiers(machine: Machine, server: Server) -> list[str]:
    """Of which tier the snapshots are that a server's workerds were started with."""
    by_file = {Path(path).name: name.split("-")[0] for name, path in listed(machine).items()}
    return [by_file[word.split("=", 1)[1]] for word in loaded(server)]


def wait_until_kept(machine: Machine, before: set[str], wanted: set[str]) -> set[str]:
    deadline = time.monotonic() + 120
    while True:
        fresh = kept(machine) - before
        if wanted <= {name.split("-")[0] for name in fresh}:
            return fresh
        assert time.monotonic() < deadline, fresh
        time.sleep(0.5)


def loaded(server: Server) -> list[str]:
    """Which snapshot each of this server's workerds was started with."""
    found = []
    for pid in server.processes():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        found += [word for word in words if word.startswith("--python-load-snapshot=")]
    return found


def test_an_edit_is_always_served_whatever_was_kept(
    machine: Machine, worker: Path, start: Starter
) -> None:
    before = kept(machine)
    with start(name="first") as server:
        assert loaded(server) == []
        assert server.get("/") == "module-1 library-1 - entry-1"
        wait_until_kept(machine, before, {"own", "packages", "neutral"})
    with start(name="second") as server:
        own = loaded(server)
        assert len(own) == 1
        assert server.get("/") == "module-1 library-1 - entry-1"
    edits = [
        ("src/pages.py", "module-1", "module-2", "packages"),
        ("src/entry.py", "entry-1", "entry-2", "packages"),
        ("python_modules/helper_library.py", "library-1", "library-2", "neutral"),
    ]
    for path, old, new, tier in edits:
        file = worker / path
        file.write_text(file.read_text().replace(old, new))
        with start(name=f"edit-{new}") as server:
            assert new in server.get("/")
            assert tiers(machine, server) == [tier]
            assert loaded(server) != own
    assert (worker / "src" / "pages.py").read_text() == 'TEXT = "module-2"\n'


def save(file: Path, text: str) -> None:
    """Write a file whole: wrangler may read it at any moment, and half of one is no worker."""
    beside = file.with_name(f".{file.name}.new")
    beside.write_text(text)
    beside.replace(file)


def test_a_saved_edit_is_served_while_running(worker: Path, start: Starter) -> None:
    entry = worker / "src" / "entry.py"
    try:
        with start() as server:
            server.get("/")
            for number in range(3):
                text = f"hot-{number}"
                save(entry, ENTRY.replace("entry-1", text))
                deadline = time.monotonic() + 60
                while text not in (answer := server.get("/")):
                    assert time.monotonic() < deadline, answer
                    time.sleep(0.05)
    finally:
        entry.write_text(ENTRY)


def test_a_pth_file_that_comes_in_is_processed(worker: Path, start: Starter) -> None:
    mark = worker / "python_modules" / "mark.pth"
    mark.write_text("import sys; sys.mark = 'marked'\n")
    try:
        with start() as server:
            assert " marked " in server.get("/")
    finally:
        mark.unlink()


def test_a_changed_flag_and_a_changed_date_start(worker: Path, start: Starter) -> None:
    config = worker / "wrangler.toml"
    text = config.read_text()
    changes = [
        text.replace('"python_workers"', '"python_workers", "brotli_content_encoding"'),
        text.replace(DATE, "2026-11-10"),
        text.replace('"python_workers"', '"python_workers", "disable_python_dedicated_snapshot"'),
    ]
    try:
        for number, changed in enumerate(changes):
            assert changed != text
            config.write_text(changed)
            with start(name=f"config-{number}") as server:
                assert "entry-1" in server.get("/")
                assert loaded(server) == [], "other flags, another snapshot"
    finally:
        config.write_text(text)


def test_two_starts_from_one_snapshot_draw_different_numbers(
    machine: Machine, start: Starter
) -> None:
    drawn = []
    for name in ("one", "two"):
        with start(name=name) as server:
            assert loaded(server)
            drawn += [server.get("/chance"), server.get("/chance")]
    assert len(set(drawn)) == 4


def test_a_truncated_snapshot_costs_nothing(machine: Machine, start: Starter) -> None:
    with start(name="before") as server:
        assert loaded(server)
        server.get("/")
    for path in map(Path, listed(machine).values()):
        path.chmod(0o600)
        with path.open("r+b") as file:
            file.truncate(20_000_000)
    with start(name="after") as server:
        assert loaded(server) == []
        assert "entry-1" in server.get("/")
    # The machine is that of other tests too.
    subprocess.run([PROGRAM, "cache", "verify", "--repair"], env=machine.env, check=False)
    assert (
        subprocess.run([PROGRAM, "cache", "verify"], env=machine.env, check=False).returncode == 0
    )


def test_none_is_used_when_none_is_wanted(start: Starter) -> None:
    with start("--no-snapshot") as server:
        assert loaded(server) == []
        assert "entry-1" in server.get("/")
