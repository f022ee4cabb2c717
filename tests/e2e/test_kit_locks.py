"""A kit's project with locks: what people type works unchanged, whoever's addresses these name.

The locks that the kit was packed by name the registries of the machine that made it; on the
other machine they name a company's, below paths of its own, which nobody answers for there.
"""

import json
import re
import shutil
from pathlib import Path

import pytest

from pyodide_offline.workers.toolchain.wrangler import DEFAULT_VERSION
from tests.e2e import kits
from tests.e2e.conftest import Machine
from tests.e2e.kits import Packed
from tests.peers.netns import Counted
from tests.peers.onlypython import Elsewhere

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

WORKER = Path(__file__).parent / "workers" / "fastapi"
COMPANY = "https://packages.company.example/repository/"
LOCKS = ("uv.lock", "package-lock.json")
PYPROJECT = """\
[project]
name = "locked"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["fastapi", "jinja2", "pyyaml"]
"""
INDEX = f"""
[[tool.uv.index]]
name = "company"
url = "{COMPANY}simple"
default = true
"""
NPMRC = f"registry={COMPANY}npm/\n@cloudflare:registry={COMPANY}of-the-edge\n"
# What somebody types one after the other, within one `kit run`. Each is told with its status.
TYPED = """
import http.client, json, os, signal, subprocess, time

def typed(*words):
    print("RAN", subprocess.run(words).returncode, *words, flush=True)

def served(*words):
    server = subprocess.Popen(
        [*words, "--ip", "127.0.0.1", "--port", "8797"], start_new_session=True)
    deadline = time.monotonic() + 300
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", 8797, timeout=120)
            connection.request("POST", "/items/7", json.dumps({"name": "Ada", "amount": 21}),
                               {"Content-Type": "application/json"})
            break
        except OSError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"no answer; {words} ended with {server.poll()}")
            time.sleep(0.3)
    print("ANSWER", words[0], connection.getresponse().read().decode(), flush=True)
    os.killpg(server.pid, signal.SIGINT)  # as Ctrl-C does
    server.wait(60)

typed("npm", "ci")
typed("uv", "sync")
typed(".venv/bin/python", "-c", "import fastapi, pydantic_core, sys; print(sys.platform)")
typed("uv", "pip", "install", "--reinstall", "starlette")
served("npx", "wrangler", "dev")
served("pywrangler", "dev")
"""


@pytest.fixture(scope="module")
def kit(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Packed:
    """A signed kit of a FastAPI worker whose Python and npm packages have locks."""
    project = tmp_path_factory.mktemp("a kit by locks") / "a project"
    shutil.copytree(WORKER, project)
    (project / "pyproject.toml").write_text(PYPROJECT)
    wanted = {"wrangler": DEFAULT_VERSION}
    (project / "package.json").write_text(json.dumps({"private": True, "devDependencies": wanted}))
    lock = "uv lock && npm install --package-lock-only"
    kits.ran(machine, "run", "-C", project, "--", "sh", "-c", lock)
    return kits.packed(machine, project)


@pytest.fixture(scope="module")
def elsewhere(kit: Packed, tmp_path_factory: pytest.TempPathFactory) -> Elsewhere:
    return Elsewhere(tmp_path_factory.mktemp("only python"), kit.file, kit.key)


@pytest.fixture(scope="module")
def project(kit: Packed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project on the other machine: a company's addresses in place of the real ones."""
    project = tmp_path_factory.mktemp("elsewhere") / "a project"
    kept = shutil.ignore_patterns("python_modules", ".venv*", "pylock.toml", "node_modules")
    shutil.copytree(kit.project, project, ignore=kept)
    (project / "pyproject.toml").write_text(PYPROJECT + INDEX)
    (project / ".npmrc").write_text(NPMRC)
    for name in LOCKS:
        text = (project / name).read_text(encoding="utf-8")
        changed = re.sub(r'(")https?://[^/"]+/', rf"\1{COMPANY}", text)
        assert changed != text
        (project / name).write_text(changed, encoding="utf-8")
    # One whose address tells nothing, as some registries have them.
    lock = json.loads((project / "package-lock.json").read_text(encoding="utf-8"))
    lock["packages"]["node_modules/workerd"]["resolved"] = f"{COMPANY}download/42"
    (project / "package-lock.json").write_text(json.dumps(lock))
    return project


@pytest.fixture(scope="module")
def ran(counting_network: None, elsewhere: Elsewhere, project: Path) -> Counted:
    """All of it in one start of the kit, in the network that counts."""
    command = elsewhere.command(["python3", "-c", TYPED])
    before = [(project / name).read_bytes() for name in LOCKS]
    done = elsewhere.counted(command, project, timeout=1200)
    assert [(project / name).read_bytes() for name in LOCKS] == before, "a lock was rewritten"
    return done


@pytest.mark.parametrize(
    "typed", ["npm ci", "uv sync", ".venv/bin/python -c", "uv pip install --reinstall starlette"]
)
def test_what_installs_by_a_lock_works_unchanged(ran: Counted, typed: str) -> None:
    assert f"RAN 0 {typed}" in ran.output, ran.output


@pytest.mark.parametrize("start", ["npx", "pywrangler"])
def test_a_worker_with_a_wasm_wheel_answers(ran: Counted, start: str) -> None:
    answer = '{"number":7,"name":"Ada","doubled":42}'
    assert f"ANSWER {start} {answer}" in ran.output, ran.output


def test_nothing_leaves_meanwhile(ran: Counted) -> None:
    assert ran.packets == 0, (ran.sent, ran.output)


def test_a_lock_that_is_made_there_names_the_locks_addresses(ran: Counted, project: Path) -> None:
    made = (project / "pylock.toml").read_text(encoding="utf-8")
    named = re.findall(r'url = "([^"]*)"', made)
    assert named, made
    assert not [one for one in named if "127.0.0.1" in one]
    assert [one for one in named if one.startswith(f"{COMPANY}packages/")], named
