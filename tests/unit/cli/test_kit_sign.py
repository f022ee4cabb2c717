"""`pyodide-offline kit keygen|sign` as a person meets them."""

import subprocess
import tarfile

import pytest

from tests.peers import kits


@pytest.fixture
def kit(program):
    kits.kit(program.folder / "my.kit")
    return program.folder / "my.kit"


def test_keygen_makes_two_files_and_loses_none(program):
    done = program("kit", "keygen", "kit.key", PYODIDE_OFFLINE_KIT_PASSPHRASE="battery staple")
    assert done.returncode == 0, done.stderr
    assert "battery" not in done.stdout + (program.folder / "kit.key").read_text()
    assert done.stdout.splitlines()[-1] in (program.folder / "kit.key.pub").read_text()
    assert program("kit", "keygen", "kit.key", "--no-passphrase").returncode == 13


def test_a_second_signer_adds_to_the_first_and_both_are_wanted(program, kit):
    program("kit", "keygen", "two", "--no-passphrase")
    done = program("kit", "sign", "my.kit", "--key", "two")
    assert done.returncode == 0, done.stderr
    assert kits.key().public.name in done.stdout
    first = ["--key", kits.key().public.line]
    need = ["--need", "2"]
    assert program("kit", "verify", "my.kit", *first).returncode == 0
    assert program("kit", "verify", "my.kit", *first, "--key", "two.pub", *need).returncode == 0
    done = program("kit", "verify", "my.kit", *first, *need)
    assert (done.returncode, "fewer keys" in done.stderr) == (13, True)
    program("kit", "keygen", "three", "--no-passphrase")
    done = program("kit", "verify", "my.kit", *first, "--key", "three.pub", *need)
    assert (done.returncode, "1 of the 2 signatures" in done.stdout) == (2, True)
    done = program("kit", "unpack", "my.kit", *first, "--key", "three.pub", *need)
    assert (done.returncode, "[untrusted]" in done.stderr) == (20, True)
    assert program("kit", "inspect", "my.kit").stdout.count("says that it is signed by") == 2


def test_debians_minisign_verifies_each_signature_and_adds_one(program, kit):
    """A signer elsewhere needs the manifest only."""
    program("kit", "keygen", "two", "--no-passphrase")
    program("kit", "keygen", "three", "--no-passphrase")
    program("kit", "sign", "my.kit", "--key", "two", "-o", "both.kit")
    folder = program.folder
    with tarfile.open(folder / "both.kit") as tar:
        names = [name for name in tar.getnames() if name.startswith("manifest")]
        for name in names:
            (folder / name).write_bytes(tar.extractfile(name).read())  # type: ignore[union-attr]
    assert names == ["manifest.json", "manifest.json.minisig", "manifest.json.minisig.2"]
    assert len([name for name in names[1:] if _verifies(folder, "two.pub", name)]) == 1
    told = ["-t", "kit example serial 7"]
    sign = ["minisign", "-S", "-s", "three", "-m", "manifest.json", "-x", "third", *told]
    done = subprocess.run(sign, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    done = program("kit", "sign", "both.kit", "--signature", "third")
    assert done.returncode == 0, done.stderr
    keys = ["--key", kits.key().public.line, "--key", "two.pub", "--key", "three.pub"]
    done = program("kit", "verify", "both.kit", *keys, "--need", "3")
    assert done.returncode == 0, done.stdout


def _verifies(folder, key, signature):
    words = ["minisign", "-V", "-q", "-p", key, "-m", "manifest.json", "-x", signature]
    return subprocess.run(words, cwd=folder, capture_output=True, check=False).returncode == 0


def test_signing_is_the_same_in_any_order_and_twice(program, kit):
    for name in ("two", "three"):
        program("kit", "keygen", name, "--no-passphrase")
    program("kit", "sign", "my.kit", "--key", "two", "--key", "three", "-o", "a.kit")
    program("kit", "sign", "my.kit", "--key", "three", "-o", "b.kit")
    program("kit", "sign", "b.kit", "--key", "two")
    program("kit", "sign", "b.kit", "--key", "two")
    assert (program.folder / "a.kit").read_bytes() == (program.folder / "b.kit").read_bytes()


def test_a_kit_that_is_damaged_or_a_signature_of_another_is_not_signed(program, kit):
    assert program("kit", "sign", "my.kit").returncode == 13
    (program.folder / "other").write_bytes(kits.key(3).sign(b"x", "kit example serial 8"))
    done = program("kit", "sign", "my.kit", "--signature", "other")
    assert (done.returncode, "of another kit" in done.stderr) == (5, True)
    program("kit", "keygen", "two", "--no-passphrase")
    data = bytearray(kit.read_bytes())
    data[data.rindex(b"TARball")] ^= 1
    kit.write_bytes(data)
    done = program("kit", "sign", "my.kit", "--key", "two")
    assert (done.returncode, "not the file" in done.stderr) == (5, True)
    assert kit.read_bytes() == data
