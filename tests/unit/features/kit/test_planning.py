"""What a kit's plan says: closures of wheels by their metadata, npm's places by the lock."""

import json
from pathlib import Path

import pytest

from pyodide_offline.features.kit import planning, product, targets
from pyodide_offline.features.kit.archives import Archive
from pyodide_offline.kits.manifest import Item
from pyodide_offline.kits.plan import Plan
from tests.peers import wheels
from tests.unit.kits import racks

LINUX = targets.named("linux-x64")
MAC = targets.named("darwin-arm64")


def wheel(folder: Path, name: str, *requires: str, roles: tuple[str, ...]) -> Archive:
    path = wheels.wheel(folder, name, requires=requires)
    return Archive(racks.item(path, name=name, version="1.0"), path).having(*roles)


def package(name: str, version: str = "1.0.0") -> Archive:
    return Archive(Item("npm", name, version, f"{name}.tgz", 1, "0" * 64), Path("/nowhere"))


def planned(found: list[Archive], lock: dict[str, object] | None = None) -> Plan:
    return planning.plan(
        found,
        json.dumps({"packages": lock or {}}),
        wanted=[LINUX, MAC],
        python="3.11",
        series="3.14",
        answers=[],
    )


@pytest.fixture
def native(tmp_path, monkeypatch):
    monkeypatch.setattr(product, "requirements", lambda: ["click"])
    roles = (planning.native(LINUX.name), planning.native(MAC.name))
    return [
        wheel(tmp_path, "click", "colorama; sys_platform == 'win32'", "old; python_version < '3'",
              roles=roles),
        wheel(tmp_path, "workers-py", "rich[jupyter]>=1", roles=roles),
        wheel(tmp_path, "rich", "ipywidgets; extra == 'jupyter'", "pygments", roles=roles),
        wheel(tmp_path, "ipywidgets", roles=roles),
        wheel(tmp_path, "pygments", roles=roles),
        wheel(tmp_path, "uv", "macs-only; sys_platform == 'darwin'", roles=roles),
        wheel(tmp_path, "macs-only", roles=roles[1:]),
        wheel(tmp_path, "pip", roles=roles),
        wheel(tmp_path, "pyodide-offline", "click", roles=(planning.PRODUCT,)),
        wheel(tmp_path, "unrelated", roles=roles),
    ]  # fmt: skip


def short(files: tuple[str, ...]) -> list[str]:
    return [one.partition("-1.0")[0] for one in files]


def test_only_what_is_needed_on_a_target_is_installed_there(native):
    plan = planned(native)
    linux, mac = plan.native[LINUX.name], plan.native[MAC.name]
    assert short(linux.product) == ["click", "pip", "pyodide_offline"]
    assert short(linux.tools) == ["ipywidgets", "pygments", "rich", "uv", "workers_py"]
    assert short(mac.tools) == ["ipywidgets", "macs_only", "pygments", "rich", "uv", "workers_py"]


def test_where_one_is_missing_nothing_is_said(native):
    plan = planned([one for one in native if one.item.name != "pygments"])
    assert plan.native[LINUX.name].tools == ()
    assert plan.native[LINUX.name].product


def test_npms_places_leave_out_what_only_other_machines_need():
    lock: dict[str, object] = {
        "node_modules/wrangler": {
            "version": "1.0.0",
            "dependencies": {"ws": "1"},
            "optionalDependencies": {"for-mac": "1"},
        },
        "node_modules/ws": {"version": "1.0.0"},
        "node_modules/for-mac": {"version": "1.0.0", "os": ["darwin"], "dependencies": {"b": "1"}},
        "node_modules/b": {"version": "1.0.0"},
        "node_modules/unrelated": {"version": "1.0.0"},
    }
    plan = planned([package(name) for name in ("wrangler", "ws", "for-mac", "b")], lock)
    assert list(plan.native[LINUX.name].modules) == ["node_modules/wrangler", "node_modules/ws"]
    assert set(plan.native[MAC.name].modules) == {
        f"node_modules/{name}" for name in ("wrangler", "ws", "for-mac", "b")
    }
    without = planned([package("wrangler")], lock)
    assert without.native[LINUX.name].modules == {}


def test_the_workers_packages_are_known_only_with_the_sdk(tmp_path):
    one = wheel(tmp_path, "starlette", roles=(planning.INSIDE, planning.beside(LINUX.name)))
    pure = wheel(tmp_path, "markupsafe", roles=(planning.INSIDE, planning.PURE))
    sdk = wheel(tmp_path, "workers-runtime-sdk", roles=(planning.INSIDE,))
    assert planned([one, pure]).inside == ()
    plan = planned([one, pure, sdk])
    assert short(plan.inside) == ["markupsafe", "starlette", "workers_runtime_sdk"]
    assert short(plan.pure) == ["markupsafe"]
    assert short(plan.native[LINUX.name].beside) == ["starlette"]
    assert plan.native[MAC.name].beside == ()


@pytest.mark.parametrize(
    ("marker", "needed"),
    [
        ("", True),
        ("python_full_version < '3.15'", True),
        ("python_version < '3.10'", False),
        ("sys_platform == 'win32'", False),
        ("sys_platform == 'emscripten'", True),
    ],
)
def test_a_locks_markers_are_read_as_for_pyodide(marker, needed):
    assert planning.needed(marker, "3.14") is needed
