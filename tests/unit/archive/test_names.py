"""Names in archives: each one file everywhere, or none."""

import pytest

from pyodide_offline.archive.bounds import Refused
from pyodide_offline.archive.names import Names


@pytest.mark.parametrize(
    "name",
    [
        *("/etc/passwd", "..", "../x", "a/../../x", "a\\..\\x", "C:\\x", "a\0b", "a\nb", "", "./"),
        *("a\udc80", "x" * 256, "/".join("x" * 65), "x/" * 30 + "y" * 250 + "/" + "z" * 5000),
    ],
    ids=range(14),
)
def test_a_name_that_leads_out_or_means_nothing_is_refused(name: str) -> None:
    with pytest.raises(Refused):
        Names().file(name)


def test_dots_and_doubled_slashes_are_tidied_away() -> None:
    assert Names().file("./a//b/./c") == "a/b/c"
    assert Names().folder("./") == ""


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["a/b", "a/b"], "twice"),
        (["a/b", "./a//b"], "twice"),
        (["a/b", "a/B"], "case"),
        (["lib/x", "Lib/y"], "case"),
        (["\u00e9", "e\u0301"], "case"),
        (["stra\u00dfe", "STRASSE"], "case"),
        (["a", "a/b"], "twice"),
        (["a/b", "a"], "twice"),
        (["a", "A/b"], "case"),
    ],
    ids=str,
)
def test_two_names_of_one_file_are_refused(names: list[str], why: str) -> None:
    found = Names()
    found.file(names[0])
    with pytest.raises(Refused, match=why):
        found.file(names[1])


def test_a_folder_may_come_again_but_not_in_other_letters() -> None:
    found = Names()
    found.folder("a/b/")
    found.folder("a/b")
    found.file("a/b/c")
    with pytest.raises(Refused, match="case"):
        found.folder("a/B")


def test_windows_names_are_refused_where_they_would_mean_something_else() -> None:
    for name in ("c:x", "a/nul", "a/Com1.txt", "a ", "a.", "a?"):
        assert Names(windows=False).file(name) == name
        with pytest.raises(Refused, match="Windows"):
            Names(windows=True).file(name)
