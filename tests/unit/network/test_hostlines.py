"""The text of a hosts file with our lines and without."""

import pytest

from pyodide_offline.network import hostlines
from pyodide_offline.network.hostlines import Owner

ME, OTHER = Owner(7, 99), Owner(8, 100)
MINE = f"127.0.0.1\ta.example\t{ME.mark}\n"
THEIRS = f"127.0.0.1\tb.example\t{OTHER.mark}\n"
USUAL = "127.0.0.1 localhost\n::1\tlocalhost ip6-localhost\n"

TEXTS = [
    "",
    USUAL,
    "127.0.0.1 localhost",
    "# a comment\n\n\n10.0.0.1 a.example # mine\n",
    "127.0.0.1 localhost\r\n10.0.0.1 x\r\n",
    "\n",
    "10.0.0.1 x # pyodide-offline tunnel of my own\n",
    "not a line at all \udcff\n",
    THEIRS + USUAL,
]


@pytest.mark.parametrize("text", TEXTS)
def test_put_in_twice_is_once_and_taken_out_is_what_was(text):
    once = hostlines.add(text, ME, ["a.example"], "127.0.0.1")
    assert once.replace("\r\n", "\n").startswith(MINE)
    assert once.endswith(text)
    assert hostlines.add(once, ME, ["a.example"], "127.0.0.1") == once
    assert hostlines.remove(once, lambda one: one == ME) == text


def test_each_name_has_one_line():
    text = hostlines.add("", ME, ["a.example", "b.example", "a.example"], "::1")
    assert [line.split()[:2] for line in text.splitlines()] == [
        ["::1", "a.example"],
        ["::1", "b.example"],
    ]


def test_two_owners_keep_their_own_lines():
    text = hostlines.add(
        hostlines.add(USUAL, OTHER, ["b.example"], "127.0.0.1"), ME, ["a.example"], "127.0.0.1"
    )
    assert text == MINE + THEIRS + USUAL
    assert hostlines.owners(text) == [ME, OTHER]
    assert hostlines.remove(text, lambda one: one == OTHER) == MINE + USUAL


def test_an_owner_with_the_same_number_but_another_beginning_is_another():
    assert hostlines.remove(MINE, lambda one: one == Owner(7, 98)) == MINE


def test_lines_of_others_for_the_same_name_are_found():
    text = MINE + "10.0.0.1 x A.example # y\n#10.0.0.2 a.example\n10.0.0.3 aa.example\n"
    assert hostlines.others(text, ["a.example"]) == ["10.0.0.1 x A.example # y"]
