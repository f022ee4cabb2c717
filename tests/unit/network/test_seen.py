"""What a confined command reads about names."""

import pytest

from pyodide_offline.network import seen


def test_targets_come_first_and_have_no_other_address():
    text = "127.0.0.1 localhost\n10.0.0.1 A.example b.example # old\n::1 ip6-localhost\n"
    assert seen.hosts(text, ["a.example", "a.example", "c.example"]) == (
        "127.0.0.1\ta.example\n127.0.0.1\tc.example\n"
        "127.0.0.1 localhost\n10.0.0.1\tb.example\n::1 ip6-localhost\n"
    )


@pytest.mark.parametrize("text", ["", "# nothing\n", "10.0.0.1 a.example"])
def test_localhost_is_always_there(text):
    assert seen.hosts(text, ["a.example"]) == (
        "127.0.0.1\ta.example\n127.0.0.1\tlocalhost\n::1\tlocalhost\n"
    )


@pytest.mark.parametrize(
    "line",
    [
        "hosts: files mdns4_minimal [NOTFOUND=return] dns",
        "hosts:      mymachines resolve [!UNAVAIL=return] files myhostname dns",
        "  hosts : dns",
    ],
)
def test_names_are_looked_up_in_the_hosts_file_alone(line):
    assert seen.nsswitch(f"passwd: files\n{line}\nnetworks: files\n") == (
        "passwd: files\nhosts:\tfiles\nnetworks: files\n"
    )


def test_a_file_that_says_nothing_of_hosts_gets_a_line():
    assert seen.nsswitch("passwd: files\n") == "hosts:\tfiles\npasswd: files\n"
