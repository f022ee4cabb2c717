"""Python's locks read, and the wheel chosen that an installer would take."""

import pytest
from packaging import tags

from pyodide_offline.distribution import pythonlock
from pyodide_offline.errors import ProjectError

HEX = "ab" * 32
HASHES = f'{{ sha256 = "{HEX}" }}'
NATIVE = "some_thing-1.0-cp311-cp311-manylinux_2_17_x86_64.whl"
PYLOCK = f"""
lock-version = "1.0"
[[packages]]
name = "Some_Thing"
version = "1.0"
wheels = [
    {{ url = "https://x.example/{NATIVE}", hashes = {HASHES} }},
    {{ url = "https://x.example/some_thing-1.0-py3-none-any.whl", hashes = {HASHES} }},
    {{ url = "file:///wheels/some_thing-1.0-2-py3-none-any.whl" }},
]
"""
UVLOCK = f"""
version = 1
[[package]]
name = "me"
version = "0.1"
source = {{ virtual = "." }}
[[package]]
name = "other"
version = "2.0"
source = {{ registry = "https://x.example/simple" }}
sdist = {{ url = "https://x.example/other-2.0.tar.gz", hash = "sha256:{HEX}" }}
wheels = [{{ url = "https://x.example/other-2.0-py3-none-any.whl", hash = "sha256:{HEX}" }}]
"""
LINUX = list(tags.cpython_tags((3, 11), platforms=["manylinux_2_17_x86_64"]))
PURE = list(tags.compatible_tags((3, 11), "cp311", platforms=["manylinux_2_17_x86_64"]))


def test_both_locks_tell_wheels_and_digests():
    (package,) = pythonlock.read(PYLOCK, "pylock.toml")
    assert package.name == "some-thing"
    assert [wheel.digest and wheel.digest.hex for wheel in package.wheels] == [HEX, HEX, None]
    assert package.wheels[2].path == "/wheels/some_thing-1.0-2-py3-none-any.whl"
    (other,) = pythonlock.read(UVLOCK, "uv.lock")
    assert [wheel.file for wheel in other.wheels] == ["other-2.0-py3-none-any.whl"]


def test_the_wheel_whose_tag_comes_first_is_chosen():
    (package,) = pythonlock.read(PYLOCK, "pylock.toml")
    native = pythonlock.choose(package.wheels, [*LINUX, *PURE])
    pure = pythonlock.choose(package.wheels, PURE)
    assert native
    assert "manylinux" in native.file
    assert pure
    assert pure.file.endswith("none-any.whl")
    assert pythonlock.choose(package.wheels[:1], PURE) is None


@pytest.mark.parametrize("text", ["[[", "packages = 3", "[[packages]]\nversion = '1'"])
def test_what_is_no_lock_is_refused(text):
    with pytest.raises(ProjectError, match="cannot be read"):
        pythonlock.read(text, "pylock.toml")
