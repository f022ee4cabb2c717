"""What is wanted and what is held: an accepted change is another file."""

from pathlib import Path

from pyodide_offline import digest as digests
from pyodide_offline.features.mirror.refs import Ref
from pyodide_offline.features.mirror.wanted import Held, Want, sha256

DIGEST = digests.of_bytes(b"x")


def test_what_fits():
    want = Want("npm", "a", [], DIGEST, "a/b", 10)
    assert want.fits(DIGEST.sri)
    assert want.fits("")
    assert not want.fits(digests.of_bytes(b"y").sri)
    assert Want("npm", "a", [], None, "a/b", 10).fits("anything")
    assert want.key == "npm a"


def test_what_a_ref_stands_for():
    ref = Ref("npm", "a", DIGEST.hex, 1, "a/b", 5)
    assert sha256(ref) == DIGEST
    assert Held.of(ref, Path("/x")) == Held(Path("/x"), DIGEST, 1, "a/b", DIGEST.sri)
