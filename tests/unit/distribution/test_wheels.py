"""What a wheel says of itself."""

import zipfile

import pytest

from pyodide_offline.distribution import wheels
from pyodide_offline.distribution.emscripten import Target
from pyodide_offline.distribution.lockfile import Package
from pyodide_offline.errors import IntegrityError
from tests.peers.wheels import wheel

TARGET = Target("3.14.2", "2026_0")


def test_name_version_modules_and_tags(tmp_path):
    files = {"one/__init__.py": "", "two.py": "", "three/data.txt": "", "four.so": ""}
    found = wheels.read(wheel(tmp_path, "A.b", "1.0", files=files))
    assert (found.name, found.version, found.pure) == ("a-b", "1.0", True)
    assert found.imports == ("four", "one", "two")
    wasm = wheel(tmp_path, "w", tag="cp314-cp314-pyemscripten_2026_0_wasm32")
    assert not wheels.read(wasm).pure


def test_dependencies_are_those_on_emscripten_that_are_present(tmp_path):
    requires = [
        'js; sys_platform == "emscripten"',
        'native; sys_platform != "emscripten"',
        'more; extra == "all"',
        "Plain_One>=2",
        "absent",
    ]
    found = wheels.read(wheel(tmp_path, "a", requires=requires))
    present = {"js", "native", "more", "plain-one", "a"}
    assert wheels.depends(found, TARGET, present) == ("js", "more", "plain-one")


def test_a_stand_in_is_told_from_a_wheel(tmp_path):
    package = Package("py-x", "2.0", "f", "", ("dep",), ())
    path = wheels.write_standin(package, tmp_path)
    found = wheels.read(path)
    assert found.standin
    assert (found.name, found.version, found.requires) == ("py-x", "2.0", ("dep",))
    assert not wheels.read(wheel(tmp_path, "a")).standin


@pytest.mark.parametrize("name", ["nonsense.whl", "a-1.0-py3-none-any.whl"])
def test_something_else_is_named(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"no zip")
    with pytest.raises(IntegrityError, match=name):
        wheels.read(path)


def packed(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in files.items():
            made.writestr(name, data)
    return path


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"bomb.py": bytes(65 << 20)}, "It unpacks to over"),
        ({"../a.py": b""}, "a.py"),
        ({"a.py": b"", "A.py": b""}, "A.py"),
        ({"a-1.0.dist-info/METADATA": bytes(17 << 20)}, None),
    ],
)
def test_a_wheel_that_exceeds_what_an_archive_may_is_refused(tmp_path, files, why):
    path = packed(
        tmp_path / "a-1.0-py3-none-any.whl", {"a-1.0.dist-info/METADATA": b"Name: a\n", **files}
    )
    for read in (wheels.read, wheels.metadata):
        with pytest.raises(IntegrityError, match=r"a-1\.0-py3-none-any\.whl") as error:
            read(path)
        assert why is None or why in error.value.why


def test_the_modules_of_an_old_wheel_are_what_it_lists(tmp_path):
    path = packed(
        tmp_path / "a-1.0-py3-none-any.whl",
        {"a-1.0.dist-info/METADATA": b"Name: a\n", "a-1.0.dist-info/top_level.txt": b"one\nx/y\n"},
    )
    assert wheels.read(path).imports == ("one",)


def test_metadata_is_given_as_it_is(tmp_path):
    assert b"Name: a\n" in wheels.metadata(wheel(tmp_path, "a"))
