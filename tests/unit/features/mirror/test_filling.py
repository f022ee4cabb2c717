"""What an operator does with a mirror's content, each by a front of its own."""

import json
from pathlib import Path

import pytest

from pyodide_offline.digest import of_bytes
from pyodide_offline.errors import ProjectError, UntrustedError
from pyodide_offline.features.mirror import filling
from pyodide_offline.features.mirror.locked import NPM, Fit, Want
from pyodide_offline.features.mirror.serve import Settings
from pyodide_offline.kits import signing, volumes
from pyodide_offline.kits.trust import Terms
from pyodide_offline.network.mirrored import Mirror
from pyodide_offline.session import Session
from tests.peers.registry import Registry, integrity


def settings(folder: Path, registry: Registry | None = None) -> Settings:
    url = registry.url if registry else "http://127.0.0.1:9/"
    upstreams = {"npm": url, "pypi": url}
    store, cache = str(folder / "depot"), folder / "cache"
    return Settings(store=store, cache=cache, upstreams=upstreams, offline=registry is None)


def lock(folder: Path, registry: Registry, *names: str) -> Path:
    packages = {
        f"node_modules/{one}": {
            "version": "1.0.0",
            "integrity": integrity(registry.add(one, "1.0.0")),
        }
        for one in names
    }
    file = folder / "package-lock.json"
    file.write_text(json.dumps({"lockfileVersion": 3, "packages": packages}))
    return file


@pytest.fixture
def theirs(session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setenv("PYODIDE_OFFLINE_STATE_DIR", str(tmp_path / "state"))
    environ = {**session.environ, "PYODIDE_OFFLINE_STATE_DIR": str(tmp_path / "state")}
    object.__setattr__(session, "environ", environ)
    return session


def test_by_locks_then_out_and_into_another_mirror(theirs: Session, tmp_path: Path) -> None:
    key = signing.generate(bytes([1]) * 32)
    heard: list[str] = []
    with Registry() as registry:
        file = lock(tmp_path, registry, "one", "@s/two")
        first = settings(tmp_path / "first", registry)
        wants = filling.wants([file, file], Fit())
        report = filling.fill(theirs, first, wants, Fit(), heard.append)
    assert (report.files, report.faults) == (2, [])
    assert sorted(heard) == ["one-1.0.0.tgz", "two-1.0.0.tgz"]

    kit = tmp_path / "my.kit"
    made = filling.give(theirs, settings(tmp_path / "first"), kit, name="m", serial=3, keys=[key])
    assert [(one.name, one.version) for one in made.items] == [
        ("@s/two", "1.0.0"),
        ("one", "1.0.0"),
    ]
    assert volumes.head([kit]).manifest == made
    again = filling.give(theirs, settings(tmp_path / "first"), tmp_path / "b.kit", name="m",
                         serial=3, keys=[key])  # fmt: skip
    assert again == made
    assert (tmp_path / "b.kit").read_bytes() == kit.read_bytes()

    second = settings(tmp_path / "second")
    with pytest.raises(UntrustedError):
        filling.take(theirs, second, [kit], Terms())
    came = filling.take(theirs, second, [kit], Terms(keys=(key.public,)))
    assert (came.files, came.size) == (2, report.size)
    assert not list((tmp_path / "second" / "cache").glob("kit-*"))
    # Where nothing else is, all of it is had from the second.
    assert filling.fill(theirs, second, wants, Fit(), heard.append).faults == []
    only = [one for one in wants if one.name == "one"]
    less = filling.give(theirs, second, tmp_path / "less.kit", name="m", serial=4, only=only)
    assert [one.name for one in less.items] == ["one"]


def test_a_kit_of_what_is_not_held_is_an_error(theirs: Session, tmp_path: Path) -> None:
    want = Want(NPM, "one", "1.0.0", (of_bytes(b""),))
    with pytest.raises(ProjectError, match="does not hold 1 of"):
        filling.give(theirs, settings(tmp_path), tmp_path / "k", name="m", serial=1, only=[want])
    assert not (tmp_path / "k").exists()


def test_a_mirror_elsewhere_is_filled_too(theirs: Session, tmp_path: Path) -> None:
    with Registry(path="/npm/") as there:
        wants = filling.wants([lock(tmp_path, there, "one")], Fit())
        report = filling.fill(theirs, Mirror(there.origin), wants, Fit(), lambda _: None)
        assert (report.files, report.faults) == (1, [])
        assert there.paths() == ["/npm/one", "/npm/one/-/one-1.0.0.tgz"]


def test_what_cannot_be_had_is_told_at_the_end(theirs: Session, tmp_path: Path) -> None:
    with Registry() as registry:
        file = lock(tmp_path, registry, "one", "two")
        registry.wrong_bytes = True
        first = settings(tmp_path / "first", registry)
        wants = filling.wants([file], Fit())
        report = filling.fill(theirs, first, wants, Fit(), lambda _: None)
    assert report.files == 0
    assert [fault.partition(":")[0] for fault in report.faults] == ["one 1.0.0", "two 1.0.0"]


def test_a_lock_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "uv.lock").write_bytes(b"\xff")
    with pytest.raises(ProjectError, match="cannot be read"):
        filling.wants([tmp_path / "uv.lock"], Fit())


def test_this_machine_takes_its_own_wheels_and_pure_ones() -> None:
    fit = filling.here()
    assert fit.platform is not None
    assert fit.takes("a-1-py3-none-any.whl")
    assert not fit.takes("a-1-cp312-cp312-win32.whl")
