"""Targets and where to listen: text, values, plan."""

import pytest

from pyodide_offline.errors import SettingsError
from pyodide_offline.network import targets
from pyodide_offline.network.targets import Group, Listen, Port, Target


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.example", Target("a.example", 443)),
        ("A.Example.:8443", Target("a.example", 8443)),
        ("[::1]:80", Target("::1", 80)),
        ("2001:db8::1", Target("2001:db8::1", 443)),
        ("10.0.0.1:1", Target("10.0.0.1", 1)),
    ],
)
def test_a_target_is_read(text, expected):
    assert targets.target(text) == expected
    assert targets.target(str(expected)) == expected


@pytest.mark.parametrize(
    "text",
    ["", ":443", "a:b", "a:99999", "a:-1", "[::1", "[::1]x", "https://a.example", "a b", "u@a"],
)
def test_what_is_no_target_is_an_error(text):
    with pytest.raises(SettingsError):
        targets.target(text)


@pytest.mark.parametrize(
    ("text", "expected", "loopback"),
    [
        ("127.0.0.1:443", Listen("127.0.0.1", 443), True),
        (":8443", Listen("127.0.0.1", 8443), True),
        ("127.9.9.9", Listen("127.9.9.9", None), True),
        ("[::1]:443", Listen("::1", 443), True),
        ("localhost:1", Listen("localhost", 1), True),
        ("0.0.0.0:443", Listen("0.0.0.0", 443), False),  # noqa: S104
        ("10.0.0.1", Listen("10.0.0.1", None), False),
    ],
)
def test_where_to_listen_is_read(text, expected, loopback):
    assert targets.listen(text) == expected
    assert expected.loopback is loopback


def test_a_name_is_no_address_to_listen_on():
    with pytest.raises(SettingsError, match="no address"):
        targets.listen("a.example:443")


def test_targets_have_a_listener_for_each_port():
    one, two, three = Target("a", 443), Target("b", 443), Target("a", 8443)
    assert targets.plan(Listen(), [one, two, three, one]) == [
        Group("127.0.0.1", 443, (one, two)),
        Group("127.0.0.1", 8443, (three,)),
    ]
    assert targets.plan(Listen("::1", 9), [one, two]) == [Group("::1", 9, (one, two))]


def test_two_ports_of_a_host_cannot_share_a_listener():
    with pytest.raises(SettingsError, match="cannot share port 9"):
        targets.plan(Listen(port=9), [Target("a", 443), Target("a", 8443)])


@pytest.mark.parametrize(("text", "expected"), [("80", Port(80, 80)), (" 8080:80", Port(8080, 80))])
def test_a_port_to_publish_is_read(text, expected):
    assert targets.port(text) == expected


@pytest.mark.parametrize("text", ["", "0", "a", "1:b", "65536", "-1", "1:2:3", "²"])
def test_what_is_no_port_is_an_error(text):
    with pytest.raises(SettingsError, match="no port to publish"):
        targets.port(text)
