"""One command with all that it needs."""

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from pyodide_offline import process
from pyodide_offline.features import run
from pyodide_offline.workers import broker, shim, supply
from pyodide_offline.workers.probe import Want
from pyodide_offline.workers.supply import Supplied
from pyodide_offline.workers.toolchain import chain, listing, npx, sync

PYTHON = 'main = "src/entry.py"\ncompatibility_date = "2026-11-17"\n'
PYTHON += 'compatibility_flags = ["python_workers"]\n'
SCRIPT = PYTHON.replace("entry.py", "index.js")


@pytest.fixture
def project(session):
    (session.project / "wrangler.toml").write_text(PYTHON)
    (session.project / "pyproject.toml").write_text("[project]\nname = 'w'\nversion = '1'\n")
    return session.project


class FakeChain:
    """A toolchain of nothing: the real one is asked in tests/e2e."""

    def __init__(self, folder: Path) -> None:
        self.wrangler = type("W", (), {"workerd": folder / "workerd", "schema": folder / "s"})()
        self.node = type("N", (), {"npm": ("npm",)})()

        self.pywrangler = type("P", (), {"version": "1.17.9"})()

    def environment(self, environ, extra=None):
        return {**environ, **(extra or {}), "CHAIN": "yes"}


@pytest.fixture
def chained(session, monkeypatch):
    """The toolchain is there; what the features ask of it is written down."""
    asked = []

    def get(session, *, pywrangler, version=None):
        asked.append(("chain", pywrangler, version))
        return FakeChain(session.project)

    def prepare(session, found, python, *, always=False):
        asked.append(("sync", python, always))
        return sync.SyncReport("synced", python, {"UV_X": "1"})

    def supplying(session, binary, date, flags, *, policy, npm, renew=False, python=None):
        asked.append(("supply", date, policy, *([python] if python else [])))

        def produce(target):
            target.write_bytes(b"bundle")
            return {"pyodide": "314.0.6", "python": "3.14.2", "lacks": ["ssl"]}

        entry = session.store.fill("bundle", "b", produce)
        return Supplied(Want("314.0.6_1", "", None), entry, "dev", ())

    monkeypatch.setattr(chain, "get", get)
    monkeypatch.setattr(npx, "first", lambda _session, _node, _wrangler, environ: environ)
    monkeypatch.setattr(sync, "prepare", prepare)
    monkeypatch.setattr(supply, "supply", supplying)
    return asked


def go(session, *command, **more):
    said: list[str] = []
    status = run.run(session, command, said.append, **more)
    return status, said


def test_the_commands_status_is_returned(session, project, chained):
    assert go(session, "sh", "-c", "exit 42")[0] == 42
    assert go(session, "true")[0] == 0


def test_the_command_sees_shim_workerd_and_socket(session, project, chained):
    script = "env > seen; test -S $PYODIDE_OFFLINE_SOCKET"
    assert go(session, "sh", "-c", script)[0] == 0
    seen = dict(line.split("=", 1) for line in (project / "seen").read_text().splitlines())
    assert seen[shim.WORKERD] == str(project / "workerd")
    assert seen[shim.FOLDER] == str(session.cache_dir)
    assert os.access(seen["MINIFLARE_WORKERD_PATH"], os.X_OK)
    assert seen["CHAIN"] == "yes"
    assert seen["WRANGLER_SEND_METRICS"] == "false"
    assert not Path(seen[shim.SOCKET]).exists()


def test_a_command_that_was_synced_for_gets_no_variables_of_the_sync(session, project, chained):
    go(session, "sh", "-c", "echo ${UV_X-unset} > seen", "uv", "lock")
    assert ("sync", "3.14", False) in chained
    assert (project / "seen").read_text() == "unset\n"


def test_pywranglers_own_sync_gets_them(session, project, chained):
    pywrangler = project / "pywrangler"
    pywrangler.write_text("#!/bin/sh\necho ${UV_X-unset} > seen\n")
    pywrangler.chmod(0o755)
    go(session, str(pywrangler), "sync")
    assert ("sync", "3.14", True) in chained
    assert (project / "seen").read_text() == "1\n"


@pytest.mark.parametrize(
    ("more", "led"),
    [
        ({}, ""),
        ({"HTTPS_PROXY": "http://127.0.0.1:1"}, "1"),
        ({"HTTPS_PROXY": "http://127.0.0.1:1", "NO_PROXY": "*"}, ""),
        ({"https_proxy": ""}, ""),
    ],
)
def test_requests_are_led_where_a_proxy_is_named(session, project, chained, more, led):
    session = replace(session, environ={**session.environ, **more})
    go(session, "sh", "-c", f"echo ${shim.LEADING} > seen")
    assert (project / "seen").read_text() == f"{led}\n"
    go(session, "sh", "-c", f"echo ${shim.LEADING} > seen", fetch=False)
    assert (project / "seen").read_text() == "\n"


def test_it_says_once_which_python_runs(session, project, chained):
    _, said = go(session, "true")
    assert len(said) == 1
    assert said[0].startswith("Python 3.14.2, Pyodide 314.0.6, assembled from npm")


def test_a_setting_of_the_user_wins(session, project, chained):
    session = replace(session, environ={**session.environ, "WRANGLER_SEND_METRICS": "true"})
    go(session, "sh", "-c", "echo $WRANGLER_SEND_METRICS > seen")
    assert (project / "seen").read_text() == "true\n"


def test_offline_is_passed_on_to_uv_and_npm(session, project, chained):
    go(replace(session, offline=True), "sh", "-c", "echo $UV_OFFLINE $npm_config_offline > seen")
    assert (project / "seen").read_text() == "1 true\n"


def test_a_workerd_that_the_user_has_named_stays_in_place(session, project, chained):
    session = replace(session, environ={**session.environ, "MINIFLARE_WORKERD_PATH": "/my/workerd"})
    go(session, "sh", "-c", f"echo ${shim.WORKERD} > seen")
    assert (project / "seen").read_text() == "/my/workerd\n"


def test_run_inside_run_does_not_take_its_own_shim_for_workerd(session, project, chained):
    shimmed = {**session.environ, "MINIFLARE_WORKERD_PATH": "/x/pyodide-offline-workerd"}
    go(replace(session, environ=shimmed), "sh", "-c", f"echo ${shim.WORKERD} > seen")
    assert (project / "seen").read_text() == f"{project}/workerd\n"


def test_a_javascript_project_needs_no_bundle(session, project, chained):
    (project / "wrangler.toml").write_text(SCRIPT)
    status, said = go(session, "true")
    assert (status, said) == (0, [])
    assert [step[0] for step in chained] == ["chain"]


def test_a_project_in_sync_is_not_synced_again(session, project, chained):
    for name in ("python_modules", ".venv-workers"):
        (project / name).mkdir()
        (project / name / ".synced").write_text("1.17.9")
    go(session, "true")
    assert [step[0] for step in chained] == ["chain", "supply"]


def test_no_process_is_left(session, project, chained):
    status, _ = go(session, "sh", "-c", "sleep 300 & echo $! > pid; exit 3")
    assert status == 3
    pid = int((project / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_supervise_is_given_the_project_as_folder(session, project, chained, monkeypatch):
    seen = {}

    def supervise(*_, **named):
        seen.update(named)
        return 0

    monkeypatch.setattr(process, "supervise", supervise)
    go(session, "true")
    assert seen["cwd"] == session.project


def test_another_python_is_asked_for_and_passed_on(session, project, chained, monkeypatch):
    monkeypatch.setattr(supply, "dated_series", lambda *_: "3.13")
    script = f"echo ${supply.PYTHON_VARIABLE} > seen"
    go(session, "sh", "-c", script, python="3.14")
    assert ("supply", "2026-11-17", "auto", "3.14") in chained
    # pywrangler goes by the date.
    assert ("sync", "3.13", False) in chained
    assert (project / "seen").read_text() == "3.14\n"


def test_what_the_bundle_lacks_is_said_once(session, project, chained, monkeypatch):
    monkeypatch.setattr(supply, "choosing", lambda *_: ())
    (project / "src").mkdir()
    (project / "src" / "entry.py").write_text("import ssl\n")
    _, said = go(session, "true")
    assert len(said) == 2
    assert "no ssl (imported by src/entry.py)" in said[1]


def test_verbose_says_each_program_and_the_bundle_with_their_places(
    session, project, chained, monkeypatch
):
    node = listing.Program("Node", "24.1.0", Path("/n/node"), None)
    monkeypatch.setattr(listing, "listed", lambda *_: [node])
    _, said = go(session, "true", verbose=True)
    assert "Node 24.1.0: /n/node" in said
    assert any(line.startswith("bundle pyodide_dev.capnp.bin: ") for line in said)


def test_a_failure_ends_with_what_workerds_words_mean(session, project, chained, monkeypatch):
    words = "Pyodide bundle disk cache: /c/pyodide_x.capnp.bin: Permission denied (os error 13)"
    monkeypatch.setattr(broker.LastWords, "text", lambda *_: words)
    told: list[str] = []
    go(session, "sh", "-c", "exit 1", complain=told.append)
    assert told[0] == "workerd cannot read its bundle /c/pyodide_x.capnp.bin: Permission denied."
    for script in ("exit 0", "kill -TERM $$"):
        told.clear()
        go(session, "sh", "-c", script, complain=told.append)
        assert told == []


def test_a_failure_on_a_taken_port_names_who_has_it(session, project, chained):
    told: list[str] = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = str(listener.getsockname()[1])
        go(session, "sh", "-c", "exit 1", "--port", port, complain=told.append)
    assert told[0].startswith(f"Port {port} is taken: ")
    assert f"(pid {os.getpid()})" in told[0]


def test_a_failure_that_nobody_can_explain_is_left_alone(session, project, chained):
    told: list[str] = []
    go(session, "sh", "-c", "exit 1", complain=told.append)
    assert told == []
