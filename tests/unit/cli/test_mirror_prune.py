"""`pyodide-offline mirror prune` as an operator meets it."""

import hashlib
import json


def test_what_no_name_stands_for_goes_with_the_second_run(program, tmp_path):
    place = ["--store", str(tmp_path / "depot"), "--days", "0"]
    done = program("mirror", "prune", *place)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "removed: 0 contents" in done.stderr
    hexed = hashlib.sha256(b"old").hexdigest()
    blob = tmp_path / "depot/v1/blobs/sha256" / hexed[:2] / hexed
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"old")
    program("mirror", "prune", *place)
    assert blob.exists()
    done = program("mirror", "prune", "--dry-run", *place)
    assert "would go: 1 contents" in done.stderr
    done = program("mirror", "prune", "--json", *place)
    assert json.loads(done.stdout)["contents"] == 1
    assert not blob.exists()
