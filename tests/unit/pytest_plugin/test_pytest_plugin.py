"""The fixtures as a user's tests see them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

pytest_plugins = ["pytester"]
Suite = Callable[[str], pytest.Pytester]


@pytest.fixture(autouse=True)
def _inside_a_run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of `pyodide-offline run -- pytest`, with stand-ins for what it brings."""
    monkeypatch.setenv("PYODIDE_OFFLINE_SOCKET", "a socket")
    monkeypatch.setenv("PATH", f"{pytester.path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "pyodide_offline.pytest_plugin")


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_subprocess("-q", *arguments, timeout=60)


def test_a_worker_a_test_and_one_a_session(suite: Suite) -> None:
    tests = suite("""
seen = []
def test_one(worker):
    assert worker.get("/pid") not in seen
    seen.append(worker.get("/pid"))
    assert worker.log.startswith("listening")
def test_two(worker, worker_session):
    assert worker.get("/pid") not in seen
    seen.append(worker_session.get("/pid"))
def test_three(worker_session):
    assert worker_session.get("/pid") in seen
    print("\\nPIDS", *seen)
""")
    done = run(tests, "-s")
    done.assert_outcomes(passed=3)
    (line,) = [line for line in done.outlines if line.startswith("PIDS")]
    for pid in map(int, line.split()[1:]):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_each_worker_has_a_port_and_a_state_folder_of_its_own(suite: Suite) -> None:
    tests = suite("""
def test_it(start_worker, tmp_path):
    found = [eval(start_worker(project=tmp_path).get("/options")) for _ in range(2)]
    for name in ("port", "inspector_port", "persist_to"):
        assert found[0][name] != found[1][name]
    for one in found:
        assert one["ip"] == "127.0.0.1"
        assert Path(one["persist_to"]).is_relative_to(tmp_path)
        assert one["mode"] == "wrangler"
""")
    run(tests).assert_outcomes(passed=1)


def test_workers_of_one_test_find_each_other_and_no_others(suite: Suite) -> None:
    tests = suite("""
import os
script = "import os; print(*sorted(v for k, v in os.environ.items() if 'REGISTRY_PATH' in k))"
COMMAND = ["sh", "-c", f'"{sys.executable}" -c "{script}"; exec "$@"', "sh", *COMMAND]
def test_one(start_worker, tmp_path):
    found = {start_worker(command=COMMAND).log.splitlines()[0] for _ in range(2)}
    assert len(found) == 1
    (line,) = found
    assert len(line.split()) == 3 and all(path.startswith(str(tmp_path)) for path in line.split())
""")
    run(tests).assert_outcomes(passed=1)


def test_a_project_with_python_packages_is_pywranglers(suite: Suite) -> None:
    tests = suite("""
def test_it(worker):
    assert eval(worker.get("/options"))["mode"] == "pywrangler"
""")
    (tests.path / "pyproject.toml").write_text("[project]\nname = 'a-worker'\n")
    run(tests).assert_outcomes(passed=1)


def test_a_command_of_ones_own_gets_port_and_state_where_it_names_them(suite: Suite) -> None:
    tests = suite("""
def test_it(start_worker, tmp_path):
    command = [*COMMAND, "--port={port}", "--persist-to={state}", "--mode=mine"]
    options = eval(start_worker(command=command, env={"MY_OWN": "here"}).get("/options"))
    assert options["mode"] == "mine" and options["ip"] is None
    assert Path(options["persist_to"]).is_relative_to(tmp_path)
    assert start_worker(command=COMMAND, env={"MY_OWN": "here"}).get("/env") == "here"
""")
    run(tests).assert_outcomes(passed=1)


def test_options_win_over_settings(suite: Suite) -> None:
    tests = suite("""
def test_it(start_worker, worker):
    assert eval(worker.get("/options"))["mode"] == "from the option"
    assert worker.fetch("/pid").status == 200
""")
    (tests.path / "sub").mkdir()
    tests.makeini(
        "[pytest]\nworker_project = no-such-folder\nworker_args = --mode setting\n"
        "worker_timeout = soon\n"
    )
    options = ["--worker-arg=--mode=from the option", "--worker-timeout=30"]
    run(tests, "--worker-project=sub", *options).assert_outcomes(passed=1)
    done = run(tests, "--worker-project=sub")
    done.stdout.fnmatch_lines(["*worker_timeout: 'soon' is no number of seconds*"])


def test_a_failure_to_start_shows_the_log_and_nothing_of_ours(suite: Suite) -> None:
    tests = suite("""
def test_it(start_worker):
    start_worker(command=["sh", "-c", "echo no bundle; exit 3"])
""")
    done = run(tests)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*ended with 3 before it answered.", "no bundle", "($ sh -c *"])
    assert "pytest_plugin" not in done.stdout.str()
    assert "another exception" not in done.stdout.str()


def test_a_failed_test_shows_the_workers_log(suite: Suite) -> None:
    tests = suite("""
def test_it(worker):
    assert worker.get("/a") == "/b"
def test_session(worker_session):
    assert worker_session.get("/a") == "/b"
""")
    done = run(tests)
    done.assert_outcomes(failed=2)
    done.stdout.fnmatch_lines(["*worker 0: end of the log*", "listening", "*GET /a*"])
    done.stdout.fnmatch_lines(["*worker_session: end of the log*", "listening", "*GET /a*"])


def test_outside_of_a_run_it_is_started_through_one(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYODIDE_OFFLINE_SOCKET")
    # A package of that name in the project must not be taken for ours; this one says so.
    tests = suite("def test_it(worker): pass")
    (tests.path / "sub").mkdir()
    (tests.path / "sub" / "pyodide_offline.py").write_text("print('the wrong one')\n")
    monkeypatch.setenv("PYODIDE_OFFLINE_STORE_DIR", str(tests.path / "empty"))
    done = run(tests, "--worker-project=sub")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*-P -m pyodide_offline run -C * -- wrangler dev --ip 127.0.0.1*"])
    assert "error[project]" in done.stdout.str()
    assert "the wrong one" not in done.stdout.str()


def test_loading_the_plugin_loads_nothing_else_of_ours() -> None:
    script = (
        "import sys, json, pytest; before = set(sys.modules);"
        "import pyodide_offline.pytest_plugin;"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=True
    )
    assert json.loads(done.stdout) == ["pyodide_offline", "pyodide_offline.pytest_plugin"]
