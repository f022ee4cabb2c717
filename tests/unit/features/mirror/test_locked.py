"""What locks name, and what of it suits a machine."""

import json

import pytest

from pyodide_offline.digest import of_bytes
from pyodide_offline.distribution.npmlock import Platform
from pyodide_offline.errors import ProjectError
from pyodide_offline.features.mirror import locked
from pyodide_offline.features.mirror.locked import NPM, PYTHON, Fit, Want

A, B = of_bytes(b"a"), of_bytes(b"b")
LINUX = Fit(Platform("linux", "x64", "glibc"), frozenset({"manylinux_2_28_x86_64"}))


def npm_lock(**packages: object) -> str:
    return json.dumps({"lockfileVersion": 3, "packages": {"": {}, **packages}})


def test_npms_lock_for_a_machine_and_for_all() -> None:
    text = npm_lock(
        **{
            "node_modules/one": {"version": "1.0.0", "integrity": A.sri},
            "node_modules/@s/win": {"version": "2.0.0", "integrity": B.sri, "os": ["win32"]},
        }
    )
    assert locked.read("package-lock.json", text, LINUX) == [Want(NPM, "one", "1.0.0", (A,))]
    assert [one.name for one in locked.read("a/package-lock.json", text, Fit())] == [
        "@s/win",
        "one",
    ]


UV = f"""
[[package]]
name = "own"
version = "0"
source = {{ virtual = "." }}
[[package]]
name = "Two"
version = "2"
source = {{ registry = "https://x/simple" }}
sdist = {{ url = "https://x/two.tar.gz", hash = "{A}" }}
wheels = [{{ url = "https://x/two-2-py3-none-any.whl", hash = "{A}" }},
          {{ url = "https://x/two-2-cp312-cp312-win_amd64.whl", hash = "{B}" }}]
[[package]]
name = "source-only"
version = "3"
source = {{ registry = "https://x/simple" }}
sdist = {{ url = "https://x/three.tar.gz", hash = "{A}" }}
"""


def test_uvs_lock_names_each_wheel_of_a_package() -> None:
    assert locked.read("uv.lock", UV, LINUX) == [Want(PYTHON, "two", "2", (A, B))]


def test_requirements_with_hashes() -> None:
    text = f"""
    # made by a tool
    --index-url https://x/simple
    Two[extra]==2 ; python_version > "3" \\
        --hash={A} \\
        --hash={B}   # via three
    four===4 --hash {A}
    """
    assert locked.read("requirements.txt", text, LINUX) == [
        Want(PYTHON, "two", "2", (A, B)),
        Want(PYTHON, "four", "4", (A,)),
    ]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("requirements.txt", "two==2"),
        ("requirements.txt", f"two>=2 --hash={A}"),
        ("requirements.txt", "-r more.txt"),
        ("requirements.txt", f"!! --hash={A}"),
        ("requirements.txt", "two==2 --hash=md5:00"),
        ("package-lock.json", npm_lock(**{"node_modules/one": {"version": "1.0.0"}})),
        ("package-lock.json", "[]"),
        ("uv.lock", UV.replace(f', hash = "{A}"', "").replace(f', hash = "{B}"', "")),
        ("uv.lock", "="),
        ("yarn.yml", ""),
    ],
)
def test_what_nobody_could_check_is_an_error(file: str, text: str) -> None:
    with pytest.raises(ProjectError):
        locked.read(file, text, LINUX)


@pytest.mark.parametrize(
    ("file", "here"),
    [
        ("a-1-py3-none-any.whl", True),
        ("a-1-cp314-cp314-manylinux_2_17_x86_64.manylinux_2_28_x86_64.whl", True),
        ("a-1-cp312-cp312-win_amd64.whl", False),
        ("a-1-cp314-cp314-pyemscripten_2026_0_wasm32.whl", True),
        ("a-1.tar.gz", False),
        ("what.whl", False),
    ],
)
def test_what_suits_a_machine(file: str, here: bool) -> None:
    assert LINUX.takes(file) is here
    assert Fit().takes(file) is (file.count("-") > 2)


def test_several_locks_ask_for_a_package_once() -> None:
    wants = [Want(PYTHON, "two", "2", (A,)), Want(PYTHON, "two", "2", (A, B))]
    assert locked.together(wants) == [Want(PYTHON, "two", "2", (A, B))]
