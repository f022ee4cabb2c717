"""`pyodide-offline mirror sync|import|export` as an operator meets them."""

import json
from pathlib import Path

import pytest

from tests.peers.registry import Registry, integrity


def lock(folder: Path, sri: str) -> str:
    packages = {"node_modules/one": {"version": "1.0.0", "integrity": sri}}
    file = folder / "package-lock.json"
    file.write_text(json.dumps({"lockfileVersion": 3, "packages": packages}))
    return str(file)


def test_a_lock_goes_in_a_kit_comes_out_and_into_another(program, tmp_path):
    first, second = (["--store", str(tmp_path / name), "--cache", str(tmp_path / f"{name}-cache")]
                     for name in ("first", "second"))  # fmt: skip
    kit, key = str(tmp_path / "my.kit"), str(tmp_path / "key")
    state = {"PYODIDE_OFFLINE_STATE_DIR": str(tmp_path / "state")}
    with Registry() as registry:
        file = lock(tmp_path, integrity(registry.add("one", "1.0.0")))
        upstreams = ["--upstream", f"npm={registry.url}", "--upstream", f"pypi={registry.url}"]
        done = program("mirror", "sync", file, "-v", *upstreams, *first)
        assert done.returncode == 0, done.stderr
        assert "one-1.0.0.tgz" in done.stderr
        assert "1 files" in done.stderr
        assert '"event"' not in done.stderr
    assert program("kit", "keygen", "--no-passphrase", key).returncode == 0
    done = program("mirror", "export", "-o", kit, "--sign", key, *first)
    assert done.returncode == 0, done.stderr
    assert "1 archives" in done.stderr
    refused = program("mirror", "import", kit, *second, **state)
    assert "is not known here" in refused.stderr
    done = program("mirror", "import", kit, "--key", f"{key}.pub", *second, **state)
    assert done.returncode == 0, done.stderr
    assert "1 files" in done.stderr


def test_what_cannot_be_had_is_told_and_the_status_says_so(program, tmp_path):
    with Registry() as registry:
        file = lock(tmp_path, integrity(b"other"))
        registry.add("one", "1.0.0")
        upstreams = ["--upstream", f"npm={registry.url}", "--upstream", f"pypi={registry.url}"]
        done = program("mirror", "sync", file, *upstreams, "--store", str(tmp_path / "depot"))
    assert done.returncode == 1
    assert "Not to be had: one 1.0.0" in done.stderr
    assert "is not what the lock says" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["sync"], 2),
        (["sync", __file__], 8),
        (["export"], 2),
        (["import"], 2),
        (["import", __file__, "--allow-unsigned"], 5),
    ],
)
def test_wrong_use(program, tmp_path, arguments, status):
    done = program("mirror", *arguments)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
