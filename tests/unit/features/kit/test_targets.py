"""The platforms of kits, as npm, wheels and uv name them."""

import pytest
from packaging.tags import Tag

from pyodide_offline.distribution.pythonlock import Wheel
from pyodide_offline.errors import UnsupportedError
from pyodide_offline.features.kit import targets


@pytest.mark.parametrize(
    ("name", "takes", "refuses"),
    [
        ("linux-x64", "cp311-abi3-manylinux_2_28_x86_64", "cp311-cp311-manylinux_2_31_x86_64"),
        ("linux-x64", "cp311-cp311-manylinux2014_x86_64", "cp311-cp311-musllinux_1_2_x86_64"),
        ("linux-arm64", "cp311-cp311-manylinux_2_17_aarch64", "cp311-cp311-manylinux_2_17_x86_64"),
        ("darwin-arm64", "cp311-cp311-macosx_11_0_arm64", "cp311-cp311-macosx_10_9_x86_64"),
        ("darwin-x64", "py3-none-macosx_10_15_universal2", "py3-none-macosx_15_0_x86_64"),
        ("win32-x64", "cp311-cp311-win_amd64", "cp312-cp312-win_amd64"),
        ("win32-x64", "py3-none-any", "py2-none-any"),
    ],
)
def test_a_target_takes_the_wheels_of_its_machine(name, takes, refuses):
    found = targets.named(name).tags("3.11")
    assert Tag(*takes.split("-")) in found
    assert Tag(*refuses.split("-")) not in found


def test_pyodide_takes_its_own_platform_before_pure_wheels():
    wheel = Wheel("x", "1", "x-1-cp314-cp314-pyemscripten_2026_0_wasm32.whl", "", None)
    found = targets.pyodide_tags("3.14", [wheel])
    own, pure = Tag("cp314", "cp314", "pyemscripten_2026_0_wasm32"), Tag("py3", "none", "any")
    assert found.index(own) < found.index(pure)
    assert not [tag for tag in found if "linux" in tag.platform]


def test_machines_have_names_and_odd_ones_are_refused():
    assert targets.here("linux", "x86_64").name == "linux-x64"
    assert targets.here("darwin", "arm64").name == "darwin-arm64"
    assert targets.here("win32", "AMD64").name == "win32-x64"
    with pytest.raises(UnsupportedError, match="linux-riscv64"):
        targets.here("linux", "riscv64")
