"""An archive laid out as npm and pip do it: names, modes, commands, and what is refused."""

import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from pyodide_offline.errors import IntegrityError
from pyodide_offline.kits import installing
from pyodide_offline.kits.installing import NPM, WHEEL, Clash, Job
from tests.peers import hostile, wheels
from tests.unit.kits import racks


def job(path: Path, target: Path, form: str = WHEEL) -> Job:
    return Job(str(path), racks.item(path).sha256, form, str(target))


def names(folder: Path) -> list[str]:
    return sorted(one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file())


def test_an_npm_package_loses_its_first_folder_and_keeps_what_is_executable(tmp_path):
    program = hostile.member("whatever/bin/x")
    program.mode = 0o755
    path = hostile.tar(
        tmp_path / "x.tgz", (program, b"#!/bin/sh\n"), (hostile.member("whatever/a.js"), b"a")
    )
    written = installing.install(job(path, tmp_path / "out", NPM))
    assert names(tmp_path / "out") == ["a.js", "bin/x"]
    assert (tmp_path / "out" / "bin" / "x").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "out" / "a.js").stat().st_mode & 0o777 == 0o644
    found = {one.inode: one for one in written}
    place = (tmp_path / "out" / "a.js").stat()
    known = found[place.st_ino]
    assert (known.size, known.mtime_ns) == (1, place.st_mtime_ns)
    assert known.sha256 == racks.item(tmp_path / "out" / "a.js").sha256


def test_a_wheel_is_laid_out_by_its_rules(tmp_path):
    files = {
        "one/__init__.py": "VALUE = 7\n\ndef main(): print(VALUE)\n",
        "one-1.0.data/purelib/two.py": "x = 2\n",
        "one-1.0.data/scripts/old": "#!python\nprint('old')\n",
        "one-1.0.data/headers/one.h": "",
        "one-1.0.dist-info/entry_points.txt": "[console_scripts]\none=one:main\n../x=one:main\n",
        "one-1.0.dist-info/INSTALLER": "another\n",
    }
    path = wheels.wheel(tmp_path, "one", files=files)
    site, scripts = tmp_path / "a site", tmp_path / "b in"
    python = str(Path(sys.executable))
    installing.install(replace(job(path, site), scripts=str(scripts), python=python))
    info = "one-1.0.dist-info"
    assert names(site) == [
        *(f"{info}/{one}" for one in ("INSTALLER", "METADATA", "RECORD", "WHEEL")),
        f"{info}/entry_points.txt",
        "one/__init__.py",
        "two.py",
    ]
    assert names(scripts) == ["old", "one"]
    assert (site / info / "INSTALLER").read_bytes() == installing.INSTALLER
    assert (site / info / "RECORD").read_text() == f"../b in/one,,\n{info}/INSTALLER,,\n"
    for name, said in (("one", "7\n"), ("old", "old\n")):
        done = subprocess.run(
            [scripts / name],
            env={"PYTHONPATH": str(site), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            encoding="utf-8",
            check=True,
        )
        assert done.stdout == said


@pytest.mark.skipif(sys.platform == "win32", reason="a shell")
def test_commands_start_a_python_whose_path_has_a_blank(tmp_path):
    folder = tmp_path / "a folder"
    folder.mkdir()
    (folder / "python").symlink_to(sys.executable)
    files = {
        "one.py": "def main(): print(7)\n",
        "one-1.0.dist-info/entry_points.txt": "[console_scripts]\none = one:main\n",
    }
    path = wheels.wheel(tmp_path, "one", files=files)
    site, python = tmp_path / "site", str(folder / "python")
    installing.install(replace(job(path, site), scripts=str(folder), python=python))
    done = subprocess.run(
        [folder / "one"], env={"PYTHONPATH": str(site)}, capture_output=True, check=True
    )
    assert done.stdout == b"7\n"


def test_of_a_pure_one_nothing_compiled_is_left(tmp_path):
    files = {"one/__init__.py": "", "one/fast.cpython-311.so": "x", "one/fast.c": "x"}
    path = wheels.wheel(tmp_path, "one", files=files)
    with zipfile.ZipFile(path, "a") as archive:
        assert "one-1.0.dist-info/RECORD" in archive.namelist()
    installing.install(replace(job(path, tmp_path / "site"), pure=True))
    assert [one for one in names(tmp_path / "site") if "dist-info" not in one] == [
        "one/__init__.py"
    ]


def test_only_what_is_wanted_is_written(tmp_path):
    path = wheels.wheel(tmp_path, "one", files={"a/b/c": "", "a/bc": "", "d": ""})
    installing.install(replace(job(path, tmp_path / "site"), only=("a/b/", "d")))
    assert names(tmp_path / "site") == ["a/b/c", "d"]


def test_a_changed_archive_is_not_opened(tmp_path):
    path = wheels.wheel(tmp_path, "one")
    wanted = job(path, tmp_path / "site")
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(IntegrityError, match="is damaged"):
        installing.install(wanted)
    assert not (tmp_path / "site").exists()


def test_what_is_there_is_never_written_over(tmp_path):
    one = wheels.wheel(tmp_path, "one", files={"shared.py": "1"})
    two = wheels.wheel(tmp_path, "two", files={"shared.py": "2"})
    installing.install(job(one, tmp_path / "site"))
    with pytest.raises(Clash):
        installing.install(job(two, tmp_path / "site"))
    assert (tmp_path / "site" / "shared.py").read_text() == "1"


@pytest.mark.parametrize("form", [NPM, WHEEL])
@pytest.mark.parametrize("name", ["/p/a", "p/../../a", "p/a\\b", "../a"])
def test_a_name_that_leads_out_is_refused(tmp_path, form, name):
    tar, wheel = hostile.both(tmp_path, [name])
    with pytest.raises(IntegrityError):
        installing.install(job(tar if form == NPM else wheel, tmp_path / "in" / "out", form))
    assert not list(tmp_path.glob("**/a"))


def test_a_data_folder_leads_nowhere_else(tmp_path):
    files = {"one-1.0.data/scripts/sub/x": "x", "one-1.0.data/data/etc/y": "y"}
    path = wheels.wheel(tmp_path, "one", files=files)
    installing.install(job(path, tmp_path / "site"))
    found = [one for one in names(tmp_path / "site") if "dist-info" not in one]
    assert found == ["bin/sub/x"]


def test_a_bomb_is_stopped(tmp_path):
    path = hostile.gzip_bomb(tmp_path / "bomb.tgz", 80 << 20)
    with pytest.raises(IntegrityError):
        installing.install(job(path, tmp_path / "out", NPM))


def test_it_can_be_stopped_between_pieces(tmp_path):
    def stop() -> None:
        raise KeyboardInterrupt

    path = wheels.wheel(tmp_path, "one")
    with pytest.raises(KeyboardInterrupt):
        installing.install(job(path, tmp_path / "site"), stop)
