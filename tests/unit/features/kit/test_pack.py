"""A kit made: what is in it, the same bytes each time, and no secret of this machine."""

import json
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from pyodide_offline import process
from pyodide_offline.digest import of_bytes
from pyodide_offline.distribution import npm, npmrc
from pyodide_offline.distribution.npmlock import Package
from pyodide_offline.distribution.pythonlock import Locked, Wheel
from pyodide_offline.errors import IntegrityError, ProjectError
from pyodide_offline.features.kit import locks, pack, planning, pythons, workerside
from pyodide_offline.features.kit.archives import Archive
from pyodide_offline.kits import plan as plans
from pyodide_offline.kits import volumes, writing
from pyodide_offline.kits.manifest import Item
from pyodide_offline.kits.reading import Reading
from pyodide_offline.workers import supply
from pyodide_offline.workers.probe import Want
from pyodide_offline.workers.supply import Supplied
from pyodide_offline.workers.toolchain import chain
from pyodide_offline.workers.toolchain.chain import Toolchain
from pyodide_offline.workers.toolchain.node import Node
from pyodide_offline.workers.toolchain.pywrangler import Pywrangler
from pyodide_offline.workers.toolchain.wrangler import Wrangler
from tests.peers import wheels
from tests.peers.registry import Registry

SECRETS = ["s3cret-npm-token", "s3cret-index-password", "s3cret-variable"]
WORKER = 'main = "src/entry.py"\ncompatibility_date = "2026-11-17"\n'
NODE = Path("/nowhere/node")
TOOLS = Toolchain(
    Node(NODE, "24.0.0", (str(NODE),), NODE.parent, managed=True),
    Wrangler(
        *(Path("/nowhere"), "4.164.0", ">=22.12.0", Path("/nowhere/workerd"), Path("/nowhere")),
        Path("/nowhere"),
        managed=True,
    ),
    Pywrangler(Path("/nowhere/pywrangler"), "1.17.9", Path("/nowhere/uv"), managed=True),
)


@pytest.fixture
def project(session, tmp_path, monkeypatch):
    """A Python worker, its locks, a registry that wants a login, and an official bundle."""
    (session.project / "wrangler.toml").write_text(WORKER)
    with Registry() as registry:
        registry.token = SECRETS[0]
        (session.project / ".npmrc").write_text(
            f"registry={registry.url}\n{registry.url.removeprefix('http:')}:_authToken={SECRETS[0]}\n"
        )
        monkeypatch.setenv("PIP_INDEX_URL", f"https://me:{SECRETS[1]}@index.example/simple")
        monkeypatch.setenv("SOME_VARIABLE", SECRETS[2])
        packages = []
        for name, os in (("wrangler", ()), ("pyodide", ()), ("@n/linux", ("linux",))):
            data = registry.add(name, "1.0.0")
            address = f"{registry.url}{name}/-/{name.rpartition('/')[2]}-1.0.0.tgz"
            packages.append(Package(name, "1.0.0", address, of_bytes(data, "sha512"), os))
        packages.append(Package("@n/mac", "1.0.0", "", of_bytes(b"x", "sha512"), ("darwin",)))
        file = wheels.wheel(tmp_path / "wheels", "some-thing")
        wheel = Wheel("some-thing", "1.0", file.name, "", of_bytes(file.read_bytes()), str(file))
        monkeypatch.setattr(chain, "get", lambda *_, **__: TOOLS)
        monkeypatch.setattr(locks, "packages", lambda *_: tuple(packages))
        monkeypatch.setattr(
            locks, "wheels", lambda *_, **__: (Locked("some-thing", "1.0", (wheel,)),)
        )

        def produce(target):
            target.write_bytes(b"an official bundle")
            return {"source": "official", "pyodide": "314.0.6"}

        entry = session.store.fill("bundle", "314.0.6_1", produce)
        supplied = Supplied(Want("314.0.6_1", "", None), entry, "314.0.6_1", ())
        monkeypatch.setattr(supply, "supply", lambda *_, **__: supplied)
        monkeypatch.setattr(supply, "dated_series", lambda *_: "3.14")
        places = {"node_modules/wrangler": {"version": "1.0.0", "dependencies": {"@n/linux": "1"}}}
        places["node_modules/@n/linux"] = {"version": "1.0.0"}
        lock = json.dumps({"packages": places})
        monkeypatch.setattr(locks, "npm_text", lambda *_: lock)
        monkeypatch.setattr(planning, "answers", lambda *_: [("want", "binary", {"id": "dev"})])
        yield session


def order(*targets: str) -> pack.Order:
    return pack.Order(targets or ("linux-x64",))


def test_what_a_target_needs_is_in_the_kit_and_nothing_else(project, tmp_path):
    made = pack.pack(project, tmp_path / "one.kit", order())
    found = {(item.kind, item.name) for item in made.items}
    assert found == {
        ("npm", "wrangler"),
        ("npm", "pyodide"),
        ("npm", "@n/linux"),
        ("wheel", "some-thing"),
        ("wheel", "pyodide-offline"),
        ("bundle", "314.0.6_1"),
        ("file", "plan"),
    }
    with (tmp_path / "one.kit").open("rb", buffering=0) as file:
        reading = Reading(file)
        head = reading.head()
        assert head is not None
        reading.blobs(head)
        assert reading.faults == []


def test_the_plan_says_how_it_is_laid_out(project, tmp_path):
    made = pack.pack(project, tmp_path / "one.kit", replace(order(), python="3.11"))
    item = plans.item(made.items)
    assert item is not None
    with tarfile.open(tmp_path / "one.kit") as tar:
        file = tar.extractfile(f"blobs/sha256/{item.sha256}")
        assert file is not None
        plan = plans.decode(file.read())
    assert plan is not None
    assert (plan.python, plan.series) == ("3.11", "3.14")
    assert plan.answers == (("want", "binary", {"id": "dev"}),)
    assert plan.native["linux-x64"].modules == {
        "node_modules/@n/linux": "@n/linux@1.0.0",
        "node_modules/wrangler": "wrangler@1.0.0",
    }


def test_an_item_says_which_targets_it_is_for(project, tmp_path):
    made = pack.pack(project, tmp_path / "one.kit", order("linux-x64", "linux-arm64"))
    named = {item.name: item.targets for item in made.items}
    assert named["@n/linux"] == ("linux-arm64", "linux-x64")
    assert named["wrangler"] == named["some-thing"] == ()
    assert made.targets == ("linux-arm64", "linux-x64")


def test_two_packs_have_the_same_bytes(project, tmp_path):
    pack.pack(project, tmp_path / "a.kit", order())
    pack.pack(replace(project, offline=True), tmp_path / "b.kit", order())
    assert (tmp_path / "a.kit").read_bytes() == (tmp_path / "b.kit").read_bytes()


def test_nobody_is_asked_for_what_the_store_has(project, tmp_path, monkeypatch):
    pack.pack(project, tmp_path / "a.kit", order())

    def asked(*_, **__):
        raise AssertionError

    for module, name in ((npmrc, "load"), (workerside, "environment"), (process, "capture")):
        monkeypatch.setattr(module, name, asked)
    pack.pack(project, tmp_path / "b.kit", order())
    assert (tmp_path / "a.kit").read_bytes() == (tmp_path / "b.kit").read_bytes()


def test_volumes_of_a_pack_are_read_in_place(project, tmp_path):
    pack.pack(project, tmp_path / "out" / "my.kit", order(), volume_size=50_000)
    pack.pack(project, tmp_path / "whole.kit", order())
    made = sorted((tmp_path / "out").iterdir())
    assert len(made) > 1
    assert max(path.stat().st_size for path in made) <= 50_000
    with volumes.opened([tmp_path / "out"], check=True) as (source, faults):
        reading = Reading(source)
        head = reading.head()
        assert head is not None
        reading.blobs(head)
        assert (faults, reading.faults) == ([], [])
    writing.join(made, tmp_path / "joined.kit")
    assert (tmp_path / "joined.kit").read_bytes() == (tmp_path / "whole.kit").read_bytes()


@pytest.mark.parametrize(("kind", "name"), [("npm", "wrangler"), ("wheel", "some-thing")])
def test_what_was_damaged_in_the_store_is_not_packed(project, tmp_path, kind, name):
    (found,) = [one for one in pack.gather(project, order()) if one.item.name == name]
    assert found.item.kind == kind
    found.path.chmod(0o644)
    found.path.write_bytes(b"x" * found.item.size)
    with pytest.raises(IntegrityError, match=r"cache verify"):
        pack.pack(project, tmp_path / "to" / "one.kit", order())
    assert not (tmp_path / "to").exists() or not list((tmp_path / "to").iterdir())


def test_what_an_interrupted_pack_had_fetched_is_not_fetched_again(project, tmp_path, monkeypatch):
    asked = []
    answer, locked = Registry.answer, npm.locked

    def logged(self, request):
        asked.append(request.path)
        return answer(self, request)

    def interrupted(session, name, *rest):
        if name == "@n/linux":
            raise KeyboardInterrupt
        return locked(session, name, *rest)

    monkeypatch.setattr(Registry, "answer", logged)
    with monkeypatch.context() as patch:
        patch.setattr(npm, "locked", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pack.pack(project, tmp_path / "to" / "my.kit", order())
    assert not (tmp_path / "to").exists()
    before = len(asked)
    made = pack.pack(project, tmp_path / "to" / "my.kit", order())
    assert (before, len(asked), len(made.items)) == (2, 3, 7)
    assert "linux-1.0.0.tgz" in asked[-1]


def test_no_secret_is_in_it(project, tmp_path):
    pack.pack(project, tmp_path / "one.kit", order())
    for secret in (*SECRETS, str(tmp_path)):
        found = subprocess.run(
            ["grep", "-c", "-a", "-F", secret, tmp_path / "one.kit"], check=False
        )
        assert found.returncode == 1, secret


def test_a_worker_without_python_needs_no_kit(project, tmp_path):
    (project.project / "wrangler.toml").write_text(WORKER.replace("entry.py", "entry.js"))
    with pytest.raises(ProjectError, match="no Python worker"):
        pack.pack(project, tmp_path / "one.kit", order())
    assert not (tmp_path / "one.kit").exists()


def test_a_native_python_comes_when_told_to(project, tmp_path, monkeypatch):
    blob = tmp_path / "python.tar.gz"
    blob.write_bytes(b"a Python")
    digest = of_bytes(b"a Python").hex

    def packed(_session, _pins, tools, series, wanted):
        assert tools is TOOLS
        item = Item("python", "cpython", f"{series}.10", blob.name, 8, digest, None, None)
        yield Archive(replace(item, targets=tuple(one.name for one in wanted)), blob)

    monkeypatch.setattr(pythons, "packed", packed)
    kinds = {one.kind for one in pack.pack(project, tmp_path / "none.kit", order()).items}
    assert "python" not in kinds
    made = pack.pack(project, tmp_path / "one.kit", replace(order(), native=True))
    (item,) = [one for one in made.items if one.kind == "python"]
    assert (item.version, item.targets) == ("3.14.10", ("linux-x64",))


def test_folders_alone_need_no_worker_and_are_for_any_platform(session, tmp_path, monkeypatch):
    monkeypatch.setattr(chain, "get", None)
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text("<html>")
    (session.project / "package-lock.json").write_text("{}")
    alone = pack.Order(trees=(site,), alone=True)
    made = pack.pack(session, tmp_path / "one.kit", alone)
    assert [(item.kind, item.name, item.targets) for item in made.items] == [("tree", "site", ())]
    assert (made.name, made.targets, made.project) == ("site", (), {})
    named = pack.pack(session, tmp_path / "two.kit", replace(alone, targets=("linux-arm64",)))
    assert named.targets == ("linux-arm64",)


def test_a_package_without_a_wheel_for_a_target_is_an_error(project, tmp_path, monkeypatch):
    wheel = Wheel("x", "1", "x-1-cp311-cp311-win_amd64.whl", "", of_bytes(b""), "/nowhere")
    monkeypatch.setattr(locks, "wheels", lambda *_, **__: (Locked("x", "1", (wheel,)),))
    with pytest.raises(ProjectError, match="x 1 has no wheel for linux-x64"):
        pack.pack(project, tmp_path / "one.kit", order())


def test_what_the_base_has_is_left_out(project, tmp_path):
    pack.pack(project, tmp_path / "old.kit", order())
    newer = pack.Order(("linux-x64",), serial=2)
    made = pack.pack(
        project, tmp_path / "new.kit", newer, base=volumes.head([tmp_path / "old.kit"])
    )
    assert made.carried == {}
    assert len(made.items) == 7
    assert (tmp_path / "new.kit").stat().st_size < (tmp_path / "old.kit").stat().st_size
