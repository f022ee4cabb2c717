"""miniflare's configuration, read and rewritten."""

import pytest

from pyodide_offline.errors import WorkerdError
from pyodide_offline.network.permits import Permits
from pyodide_offline.workers import config
from pyodide_offline.workers.config import PythonWorker
from tests.peers import miniflare

PYTHON = ("core:user:py", "2026-11-17", ("python_workers",), "entry.py")
OLDER = ("core:user:old", "2025-11-02", ("python_workers", "nodejs_compat"), "main.py")
SCRIPT = ("core:user:js", "2026-11-17", ("nodejs_compat",), "index.js")


def test_python_workers_are_found_by_their_modules():
    found = config.python_workers(miniflare.message(SCRIPT, PYTHON, OLDER), miniflare.SCHEMA)
    assert found == [
        PythonWorker("core:user:py", "2026-11-17", ("python_workers",)),
        PythonWorker("core:user:old", "2025-11-02", ("python_workers", "nodejs_compat")),
    ]


def test_flags_are_added_to_python_workers_only():
    message = miniflare.message(SCRIPT, PYTHON, OLDER)
    rewritten = config.rewrite(message, miniflare.SCHEMA, lambda _: ("added",))
    assert miniflare.flags(rewritten) == {
        "core:user:js": ["nodejs_compat"],
        "core:user:py": ["python_workers", "added"],
        "core:user:old": ["python_workers", "nodejs_compat", "added"],
        "script": [],
    }


def test_each_worker_is_decided_on_its_own():
    message = miniflare.message(PYTHON, OLDER)
    rewritten = config.rewrite(
        message, miniflare.SCHEMA, lambda worker: ("x",) if worker.date < "2026" else ()
    )
    assert miniflare.flags(rewritten)["core:user:py"] == ["python_workers"]
    assert miniflare.flags(rewritten)["core:user:old"][-1] == "x"


def test_a_flag_that_is_there_is_not_added_twice():
    message = miniflare.message(PYTHON)
    rewritten = config.rewrite(message, miniflare.SCHEMA, lambda _: ("python_workers", "new"))
    assert miniflare.flags(rewritten)["core:user:py"] == ["python_workers", "new"]


def test_a_flag_that_is_turned_off_is_taken_away():
    # workerd refuses both together.
    message = miniflare.message(OLDER)
    rewritten = config.rewrite(message, miniflare.SCHEMA, lambda _: ("no_nodejs_compat",))
    assert miniflare.flags(rewritten)["core:user:old"] == ["python_workers", "no_nodejs_compat"]


@pytest.mark.parametrize("additions", [(), ("added",)])
def test_a_worker_without_python_loses_the_flags_of_python_workers(additions):
    # As miniflare's engine of Workflows has them.
    flags = ("experimental", "python_workers", "python_workers_20250116")
    engine = ("workflows:order", "2024-10-22", flags, "workflows.mjs")
    message = miniflare.message(PYTHON, engine, SCRIPT)
    rewritten = config.rewrite(message, miniflare.SCHEMA, lambda _: additions)
    assert miniflare.flags(rewritten) == {
        "core:user:py": ["python_workers", *additions],
        "workflows:order": ["experimental"],
        "core:user:js": ["nodejs_compat"],
        "script": [],
    }


def test_v8_gets_room_where_there_is_python_and_what_miniflare_says_of_it_counts():
    message = miniflare.message(PYTHON, v8_flags=["--min-semi-space-size=1", "--expose-gc"])
    rewritten = config.rewrite(message, miniflare.SCHEMA, lambda _: ("added",))
    assert miniflare.v8_flags(rewritten) == [
        "--min-semi-space-size=8",
        "--min-semi-space-size=1",
        "--expose-gc",
    ]


def test_nothing_to_add_gives_the_same_bytes_back():
    message = miniflare.message(SCRIPT, PYTHON)
    assert config.rewrite(message, miniflare.SCHEMA, lambda _: ()) is message


def test_everything_else_survives_the_rewrite():
    message = miniflare.message(PYTHON)
    rewritten = config.rewrite(message, miniflare.SCHEMA, lambda _: ("added",))
    assert bytes(range(256)) in rewritten
    assert b"127.0.0.1" in rewritten
    assert b"old style" in rewritten


@pytest.mark.parametrize("data", [b"", b"no message", b"\xff" * 64])
def test_what_does_not_fit_the_schema_is_an_error(data):
    with pytest.raises(WorkerdError, match="does not fit"):
        config.python_workers(data, miniflare.SCHEMA)


def test_two_schemas_with_the_same_ids_can_be_loaded(tmp_path):
    # As two wranglers in one project have them; in one parser the second would abort.
    again = tmp_path / "workerd.capnp"
    again.write_text(miniflare.SCHEMA.read_text())
    message = miniflare.message(PYTHON)
    assert config.python_workers(message, miniflare.SCHEMA) == config.python_workers(message, again)


def test_the_code_of_the_one_python_worker_is_taken_out():
    message = miniflare.message(PYTHON, SCRIPT, bindings=[("KV", "kvNamespace")])
    code = config.only_code(message, miniflare.SCHEMA)
    assert code is not None
    assert (code.date, code.flags) == ("2026-11-17", ("python_workers",))
    assert code.modules == (
        ("entry.py", "pythonModule", b"code"),
        ("data", "data", bytes(range(256))),
    )
    assert code.bindings == (("KV", "kvNamespace"),)


def test_several_python_workers_have_no_one_code():
    assert config.only_code(miniflare.message(PYTHON, OLDER), miniflare.SCHEMA) is None
    assert config.only_code(miniflare.message(SCRIPT), miniflare.SCHEMA) is None


def test_a_worker_that_loads_others_hides_their_code():
    message = miniflare.message(SCRIPT, PYTHON, bindings=[("LOADER", "workerLoader")])
    assert config.only_code(message, miniflare.SCHEMA) is None


def test_a_bare_configuration_holds_the_same_code_and_a_port():
    message = miniflare.message(PYTHON, bindings=[("KV", "kvNamespace")])
    code = config.only_code(message, miniflare.SCHEMA)
    assert code is not None
    bare = config.bare(code, miniflare.SCHEMA)
    again = config.only_code(bare, miniflare.SCHEMA)
    assert again is not None
    assert (again.modules, again.date, again.flags) == (code.modules, code.date, code.flags)
    assert again.bindings == ()
    assert b"127.0.0.1:0" in bare


def test_a_worker_that_loads_others_is_one_of_python_workers():
    message = miniflare.message(SCRIPT, PYTHON, bindings=[("LOADER", "workerLoader")])
    assert config.loaders(message, miniflare.SCHEMA) == [
        PythonWorker("core:user:js", "2026-11-17", ("python_workers",))
    ]
    assert config.loaders(miniflare.message(SCRIPT, PYTHON), miniflare.SCHEMA) == []


def test_the_users_requests_are_led_with_what_the_configuration_allows():
    asked: list[Permits] = []

    def internet(permits: Permits) -> str:
        asked.append(permits)
        return "unix:/a folder/fetch"

    message = miniflare.message(SCRIPT, PYTHON)
    led = config.rewrite(message, miniflare.SCHEMA, lambda _: (), internet)
    assert asked == [Permits(("public", "private", "240.0.0.0/4"))]
    assert miniflare.external(led) == {
        "internet": ("unix:/a folder/fetch", "proxy"),
        "loopback": ("127.0.0.1", "host"),
    }
    assert miniflare.flags(led) == miniflare.flags(message)
    assert config.python_workers(led, miniflare.SCHEMA) == [PythonWorker(*PYTHON[:3])]
    again = config.rewrite(led, miniflare.SCHEMA, lambda _: (), internet)
    assert miniflare.external(again) == miniflare.external(led)
    assert len(asked) == 1


@pytest.mark.parametrize(
    "names",
    [
        ["core:user:ProxyWorker", "core:user:InspectorProxyWorker"],
        ["core:user:js", "core:user:ProxyWorker"],
        ["core:entry"],
    ],
)
def test_wranglers_own_requests_to_the_users_workers_are_left_alone(names):
    message = miniflare.message(*[(name, "2026-11-17", (), "index.js") for name in names])

    def internet(_: Permits) -> str:
        raise AssertionError

    assert config.rewrite(message, miniflare.SCHEMA, lambda _: (), internet) is message
