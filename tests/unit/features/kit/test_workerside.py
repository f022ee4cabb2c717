"""The worker's packages: for Pyodide, and for the environment beside it."""

import pytest

from pyodide_offline.digest import of_bytes
from pyodide_offline.distribution.pythonlock import Locked, Wheel
from pyodide_offline.errors import ProjectError
from pyodide_offline.features.kit import archives, locks, targets, workerside
from pyodide_offline.features.kit.archives import Archive
from pyodide_offline.kits.manifest import Item
from pyodide_offline.workers.toolchain import interpreter
from tests.unit.features.kit.test_pack import TOOLS

PYPROJECT = '[project]\nname = "me"\nversion = "1"\ndependencies = ["one", "two>=2"]\n'
PYODIDE, LINUX = "cp314-cp314-pyemscripten_2026_0_wasm32", "cp314-cp314-manylinux_2_17_x86_64"
PURE = "py3-none-any"


def locked(name: str, *tags: str) -> Locked:
    files = [f"{name}-1-{tag}.whl" for tag in tags]
    found = [Wheel(name, "1", one, f"https://x.example/{one}", of_bytes(b"")) for one in files]
    return Locked(name, "1", tuple(found))


@pytest.fixture
def packed(session, tmp_path, monkeypatch):
    """Return a function: packages for Pyodide and beside it → files that are packed."""
    (session.project / "pyproject.toml").write_text(PYPROJECT)
    monkeypatch.setattr(workerside, "environment", lambda *_: {})
    made = interpreter.Interpreter("3.14.2", "cpython-3.14.2-x", "x", tmp_path)
    monkeypatch.setattr(interpreter, "provide", lambda *_: made)
    monkeypatch.setattr(
        archives,
        "wheel",
        lambda _, wheel, names: Archive(
            Item("wheel", wheel.name, "1", wheel.file, 0, "", None, None, tuple(names)), tmp_path
        ),
    )

    def pack(inside, beside=()):
        def resolved(*_, target=None, **__):
            return inside if target is None else beside

        monkeypatch.setattr(locks, "wheels", resolved)
        pins, wanted = locks.Pins(session, renew=False), [targets.named("linux-x64")]
        found = workerside.wheels(session, pins, TOOLS, "3.14", wanted, "3.11")
        return {(one.item.file, one.item.targets) for one in found}

    return pack


def test_each_environment_gets_its_own_wheel(packed):
    packages = [locked("one", LINUX, PYODIDE), locked("two", PURE)]
    assert packed(packages, packages) == {
        (f"one-1-{PYODIDE}.whl", ()),
        (f"one-1-{LINUX}.whl", ("linux-x64",)),
        (f"two-1-{PURE}.whl", ()),
    }


def test_a_package_that_cannot_run_in_a_worker_is_an_error(packed):
    with pytest.raises(ProjectError, match="one 1 has no wheel for Python Workers"):
        packed([locked("one", LINUX)])


def test_packages_of_development_in_a_lock_may_be_native_only(packed, session):
    (session.project / "uv.lock").write_text(
        f'[[package]]\nname = "tool"\nversion = "1"\n'
        f'wheels = [{{ url = "https://x.example/tool-1-{LINUX}.whl", '
        f'hash = "sha256:{"0" * 64}" }}]\n'
    )
    assert (f"tool-1-{LINUX}.whl", ("linux-x64",)) in packed([locked("one", PURE)])


def test_a_locks_packages_come_for_the_targets_own_python_too(packed, session):
    tag = "cp311-cp311-manylinux_2_17_x86_64"
    (session.project / "uv.lock").write_text(
        f'[[package]]\nname = "tool"\nversion = "1"\n'
        f'wheels = [{{ url = "https://x.example/tool-1-{tag}.whl", '
        f'hash = "sha256:{"0" * 64}" }}]\n'
    )
    assert (f"tool-1-{tag}.whl", ("linux-x64",)) in packed([locked("one", PURE)])


def test_what_the_project_depends_on_is_read(tmp_path):
    file = tmp_path / "pyproject.toml"
    file.write_text(PYPROJECT)
    assert workerside.dependencies(file) == ["one", "two>=2"]
    file.write_text("[[")
    with pytest.raises(ProjectError, match="cannot be read"):
        workerside.dependencies(file)
