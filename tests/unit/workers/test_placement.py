"""The folder that workerd reads."""

from dataclasses import replace

import pytest

from pyodide_offline.errors import StorageError, UnsupportedError
from pyodide_offline.workers import placement
from pyodide_offline.workers.probe import Want
from pyodide_offline.workers.supply import Supplied

WANT = Want("314.0.6_1", "https://example.invalid/pyodide_314.0.6_1.capnp.bin", None)
CONTENT = b"a whole bundle"


def supplied(session, content=CONTENT, name="b", *, assembled=True):
    def produce(target):
        target.write_bytes(content)
        source = "npm" if assembled else "official"
        return {"source": source, "pyodide": "314.0.6", "python": "3.14.2"}

    entry = session.store.fill("bundle", name, produce)
    return Supplied(WANT, entry, "dev" if assembled else WANT.bundle_id, ())


def no_supplier(date, flags, *, renew=False):
    raise AssertionError("nothing had to be made again")


def put(session, one, supplier=no_supplier):
    folder = placement.choose_folder(session, [one])
    return placement.place(session, "2026-11-17", (), one, folder, supplier)


def test_an_official_bundle_lies_in_the_folder_itself(session):
    target = put(session, supplied(session, assembled=False))
    assert target == session.cache_dir / "pyodide_314.0.6_1.capnp.bin"
    assert target.read_bytes() == CONTENT


def test_assembled_bundles_have_folders_of_their_own(session):
    one, other = supplied(session), supplied(session, b"another", "c")
    first, second = put(session, one), put(session, other)
    assert first.name == second.name == "pyodide_dev.capnp.bin"
    assert first.parent != second.parent
    assert first.read_bytes() == CONTENT


def test_the_folder_is_private(session):
    target = put(session, supplied(session))
    assert session.cache_dir.stat().st_mode & 0o777 == 0o700
    assert target.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("damage", [b"", b"a wh", bytes(range(14)), b"a whole bundle and more"])
def test_a_damaged_file_is_healed(session, damage):
    one = supplied(session)
    target = put(session, one)
    target.chmod(0o600)
    target.write_bytes(damage)
    assert put(session, one).read_bytes() == CONTENT


def test_a_folder_in_the_place_of_the_file_is_healed(session):
    one = supplied(session)
    target = put(session, one)
    target.unlink()
    target.mkdir()
    (target / "x").write_text("x")
    assert put(session, one).read_bytes() == CONTENT


def test_a_link_in_the_place_of_the_file_is_healed(session, tmp_path):
    one = supplied(session)
    target = put(session, one)
    (tmp_path / "mine").write_bytes(CONTENT)
    target.unlink()
    target.symlink_to(tmp_path / "mine")
    assert not put(session, one).is_symlink()
    assert (tmp_path / "mine").read_bytes() == CONTENT


def test_a_right_file_is_left_alone(session):
    one = supplied(session)
    before = put(session, one).stat().st_mtime_ns
    assert put(session, one).stat().st_mtime_ns == before


def test_damage_in_the_folder_does_not_reach_the_store(session):
    one = supplied(session)
    target = put(session, one)
    target.chmod(0o600)
    with target.open("r+b") as file:
        file.write(b"XXXX")
    assert one.entry.path.read_bytes() == CONTENT


def test_a_damaged_store_is_renewed_first(session, progress):
    one = supplied(session)
    one.entry.path.chmod(0o600)
    one.entry.path.write_bytes(b"rotten")
    asked = []

    def supplier(date, flags, *, renew=False):
        asked.append(renew)
        session.store.remove(one.entry)
        return supplied(session)

    assert put(session, one, supplier).read_bytes() == CONTENT
    assert asked == [True]
    assert any("damaged" in note for note in progress.notes)


def test_two_different_assembled_bundles_in_one_process_are_refused(session):
    one, other = supplied(session), supplied(session, b"another", "c")
    with pytest.raises(UnsupportedError, match="Start them apart"):
        placement.choose_folder(session, [one, other])


def test_the_same_bundle_twice_is_one(session):
    one = supplied(session)
    assert placement.choose_folder(session, [one, one]).name.startswith("dev-")


def test_a_folder_that_others_can_write_to_is_refused(session):
    session.cache_dir.mkdir(mode=0o700)
    session.cache_dir.chmod(0o777)
    with pytest.raises(StorageError, match="written by others"):
        put(session, supplied(session))


def test_a_full_disk_is_an_error_of_storage(session, monkeypatch):
    one = supplied(session)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(StorageError, match="full"):
        put(session, one)
    assert list(session.cache_dir.rglob("pyodide_*")) == []
    assert list(session.cache_dir.rglob(".pyodide*")) == []


def test_another_cache_folder_is_used_where_one_is_named(session, tmp_path):
    session = replace(session, cache_dir=tmp_path / "a b" / "c")
    assert put(session, supplied(session)).is_relative_to(tmp_path / "a b" / "c")


def test_an_assembled_bundle_under_the_real_id_does_not_meet_the_official_one(session):
    one = replace(supplied(session, b"another", "c"), bundle_id=WANT.bundle_id)
    official = put(session, supplied(session, assembled=False))
    mine = put(session, one)
    assert mine.name == official.name
    assert mine.parent != official.parent


def test_two_assembled_bundles_of_different_names_share_a_folder(session):
    one = replace(supplied(session), bundle_id="0.28.2_1")
    other = replace(supplied(session, b"another", "c"), bundle_id="0.29_1")
    folder = placement.choose_folder(session, [one, other])
    assert placement.choose_folder(session, [other, one]) == folder
    assert folder != placement.choose_folder(session, [one])


def test_archives_lie_beside_the_bundle_and_workerd_is_told(session):
    one = replace(supplied(session), archives=("ssl-1.tar.gz",))
    folder = put(session, one).parent
    assert (folder / "packages" / "ssl-1.tar.gz").is_file()
    assert placement.arguments(folder) == (
        f"--pyodide-bundle-disk-cache-dir={folder}",
        f"--pyodide-package-disk-cache-dir={folder / 'packages'}",
    )


def test_without_archives_there_is_one_argument(session):
    folder = put(session, supplied(session)).parent
    assert placement.arguments(folder) == (f"--pyodide-bundle-disk-cache-dir={folder}",)


def test_an_official_bundle_with_empty_packages_lies_apart(session):
    one = replace(supplied(session, assembled=False), archives=("ssl-1.tar.gz",))
    assert put(session, one).parent != session.cache_dir
    # The next one, without them, is not told of these packages.
    folder = put(session, supplied(session, assembled=False)).parent
    assert placement.arguments(folder) == (f"--pyodide-bundle-disk-cache-dir={folder}",)
