"""Digests, against the values that FIPS 180-2 publishes for "abc"."""

import base64
from pathlib import Path

import pytest

from pyodide_offline import digest
from pyodide_offline.digest import Digest

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
ABC_SRI = "sha256-" + base64.b64encode(bytes.fromhex(ABC)).decode()


def test_bytes_files_and_streams_have_the_published_digest(tmp_path: Path) -> None:
    file = tmp_path / "a b"
    file.write_bytes(b"abc")
    stream = digest.parse(ABC_SRI).hasher()
    for part in (b"a", b"", b"bc"):
        stream.update(part)
    assert digest.of_bytes(b"abc").hex == digest.of_file(file).hex == ABC
    assert stream.digest().hex() == ABC


def test_hex_and_sri_are_two_spellings_of_one_value() -> None:
    one, other = digest.parse(f"sha256:{ABC}"), digest.parse(ABC_SRI)
    assert one == other
    assert (str(one), one.sri, one.short) == (f"sha256:{ABC}", ABC_SRI, ABC[:12])


def test_of_several_hashes_the_strongest_counts() -> None:
    weak, strong = digest.of_bytes(b"abc", "sha1"), digest.of_bytes(b"abc", "sha512")
    for text in (f"{weak.sri} {strong.sri}", f"{strong.sri}\n{weak.sri}", f"md5-xx {strong.sri}?a"):
        assert digest.parse(text) == strong


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256:",
        f"sha256:{ABC[:-2]}",
        f"sha512:{ABC}",
        f"sha256:{ABC.upper()}",
        "sha256:xyz",
        "sha256-!!!",
        "sha512-c2hvcnQ=",
        "md5-kAFQmDzST7DWlj99KOF/cg==",
        "sha999:00",
    ],
)
def test_what_is_no_digest_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        digest.parse(text)


def test_a_value_of_the_wrong_length_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="not a sha256 digest: 3 bytes"):
        Digest("sha256", b"abc")


def test_a_missing_file_passes_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        digest.of_file(tmp_path / "missing")
