"""pip's resolver with Emscripten's markers, over wheels in a folder."""

import sys

import pytest

from pyodide_offline.distribution import resolver
from pyodide_offline.distribution.emscripten import Target
from pyodide_offline.distribution.resolver import NoWheelError
from pyodide_offline.errors import ProjectError, ToolchainError
from tests.peers import wheels

TARGET = Target("3.14.2", "2026_0")


@pytest.fixture
def index(tmp_path, monkeypatch):
    folder = tmp_path / "an index"
    folder.mkdir()
    wheels.only(folder, monkeypatch)
    return folder


def names(folder):
    return sorted(path.name.split("-")[0] for path in folder.iterdir())


def test_markers_and_wheels_are_those_of_the_browser(session, index, tmp_path):
    requires = ['js; sys_platform == "emscripten"', 'native; sys_platform == "linux"', "fast"]
    wheels.wheel(index, "app", requires=requires)
    wheels.wheel(index, "js")
    wheels.wheel(index, "native")
    wheels.wheel(index, "fast", "2.0", tag="cp314-cp314-manylinux_2_28_x86_64")
    wheels.wheel(index, "fast", "1.0", tag="cp314-cp314-pyemscripten_2026_0_wasm32")
    target = tmp_path / "out"
    resolver.download(session, target, ["app"], TARGET)
    assert names(target) == ["app", "fast", "js"]
    assert (target / "fast-1.0-cp314-cp314-pyemscripten_2026_0_wasm32.whl").is_file()


def test_another_platform_and_no_dependencies(session, index, tmp_path):
    wheels.wheel(index, "fast", tag="cp313-cp313-manylinux_2_28_x86_64", requires=["absent"])
    resolver.download(
        session,
        tmp_path / "out",
        ["fast"],
        TARGET,
        dependencies=False,
        platforms=["manylinux_2_17_x86_64", "manylinux_2_28_x86_64"],
        python="3.13",
    )
    assert names(tmp_path / "out") == ["fast"]


def test_more_wheels_come_from_links(session, index, tmp_path):
    wheels.wheel(tmp_path / "more", "extra")
    resolver.download(session, tmp_path / "out", ["extra"], TARGET, links=[tmp_path / "more"])
    assert names(tmp_path / "out") == ["extra"]


def test_what_no_index_has_is_named(session, index, tmp_path):
    wheels.wheel(index, "fast", tag="cp314-cp314-manylinux_2_28_x86_64")
    with pytest.raises(NoWheelError) as caught:
        resolver.download(session, tmp_path / "out", ["fast"], TARGET)
    assert caught.value.package == "fast"
    said = "Could not find a version that satisfies the requirement fast (from versions: none)"
    assert caught.value.said == said
    assert "no wheel of fast for Pyodide" in str(caught.value.explained())


def test_of_many_versions_the_last_are_told(session, index, tmp_path):
    for number in range(1, 8):
        wheels.wheel(index, "one", f"{number}.0")
    with pytest.raises(NoWheelError, match=r"\(from versions: …, 3.0, 4.0, 5.0, 6.0, 7.0\)$"):
        resolver.download(session, tmp_path / "out", ["one==99"], TARGET)


def test_what_does_not_fit_together_is_an_error_of_the_project(session, index, tmp_path):
    wheels.wheel(index, "one", requires=["two<2"])
    wheels.wheel(index, "two", "1.0")
    wheels.wheel(index, "two", "2.0")
    with pytest.raises(ProjectError, match="no set of packages"):
        resolver.download(session, tmp_path / "out", ["one", "two>=2"], TARGET)


def test_a_pip_that_keeps_its_markers_elsewhere_gives_no_wrong_answer(
    session, index, tmp_path, monkeypatch
):
    # A Python without pip stands for it: both end the launcher with the same status.
    monkeypatch.setattr(resolver, "_LAUNCH", f"import sys; sys.exit({resolver._STALE})")
    with pytest.raises(ToolchainError, match="cannot resolve for Pyodide") as caught:
        resolver.download(session, tmp_path / "out", ["one"], TARGET)
    assert sys.executable in str(caught.value)
