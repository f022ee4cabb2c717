"""Questions and answers as bytes and values."""

import json
import random
from contextlib import suppress

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from pyodide_offline.network import answers
from pyodide_offline.network.answers import BadAnswerError, Record

NAME = "www.example.test"
SOA = "example.test. 300 IN SOA ns.example.test. me.example.test. 1 60 60 60 45"


def message(*lines: str, kind: str = "A", authority: str = "", **changes: int) -> bytes:
    """Return an answer to NAME with records of zone-file lines and fields as named."""
    query = dns.message.from_wire(answers.question(NAME, kind))
    made = dns.message.make_response(query)
    for line, section in [*((one, made.answer) for one in lines), (authority, made.authority)]:
        if line:
            owner, ttl, _, type_, value = line.split(maxsplit=4)
            section.append(dns.rrset.from_text(owner, int(ttl), "IN", type_, value))
    made.id = changes.get("id", 0)
    made.flags |= changes.get("flags", 0)
    made.set_rcode(dns.rcode.Rcode.make(changes.get("rcode", 0)))
    return made.to_wire()


def as_json(**changes: object) -> bytes:
    value = {
        "Status": 0,
        "TC": False,
        "Question": [{"name": f"{NAME}.", "type": 1}],
        "Answer": [{"name": f"{NAME}.", "type": 1, "TTL": 60, "data": "192.0.2.1"}],
    }
    return json.dumps({**value, **changes}).encode()


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Example.COM", "example.com"),
        ("example.com.", "example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("_dns.example", "_dns.example"),
        ("localhost", "localhost"),
    ],
)
def test_names_have_one_spelling(text: str, plain: str) -> None:
    assert answers.canonical(text) == plain


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "a..b",
        "a b",
        "x" * 64 + ".example",
        "a." * 130,
        "a\nb",
        "https://a.b/",
        "*.a",
        "a/b",
    ],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no host name"):
        answers.canonical(text)


@pytest.mark.parametrize("text", ["192.0.2.1", "2001:db8::1", "[::1]"])
def test_an_address_is_said_to_be_one(text: str) -> None:
    with pytest.raises(ValueError, match="is an address already"):
        answers.canonical(text)


def test_the_same_question_is_the_same_bytes_with_id_0() -> None:
    wire = answers.question(NAME, "AAAA")
    assert wire == answers.question(NAME, "AAAA")
    asked = dns.message.from_wire(wire)
    assert (asked.id, bool(asked.flags & dns.flags.RD)) == (0, True)


def test_a_chain_of_cnames_is_followed_to_the_addresses_in_any_order() -> None:
    wire = message(
        "c.example.test. 50 IN A 192.0.2.1",
        "b.example.test. 20 IN CNAME c.example.test.",
        f"{NAME}. 90 IN CNAME b.example.test.",
        "stray.example.test. 5 IN A 192.0.2.99",
    )
    found = answers.read(wire, NAME, "A")
    assert found.records == (
        Record(NAME, "CNAME", "b.example.test", 90),
        Record("b.example.test", "CNAME", "c.example.test", 20),
        Record("c.example.test", "A", "192.0.2.1", 50),
    )
    assert (found.ttl, found.nothing) == (20, "")


def test_an_https_record_is_shown_as_in_a_zone_file() -> None:
    wire = message(f'{NAME}. 60 IN HTTPS 1 . alpn="h2,h3" ipv4hint="192.0.2.7"', kind="HTTPS")
    (record,) = answers.read(wire, NAME, "HTTPS").records
    assert record.value == '1 . alpn="h2,h3" ipv4hint="192.0.2.7"'


@pytest.mark.parametrize(
    ("authority", "ttl"),
    [
        (SOA, 45),
        (SOA.replace(" 300 ", " 10 "), 10),
        (SOA.replace(" 45", " 9000").replace(" 300 ", " 9000 "), 300),
        ("", 0),
    ],
)
def test_a_name_without_the_record_is_an_answer_kept_for_the_soas_minimum(
    authority: str, ttl: int
) -> None:
    found = answers.read(message(authority=authority), NAME, "A")
    assert (found.records, found.nothing, found.ttl) == ((), answers.NO_RECORD, ttl)


def test_nxdomain_is_an_answer_and_keeps_the_alias_that_led_there() -> None:
    wire = message(f"{NAME}. 60 IN CNAME gone.example.test.", rcode=3, authority=SOA)
    found = answers.read(wire, NAME, "A")
    assert found.nothing == answers.NXDOMAIN
    assert [one.type for one in found.records] == ["CNAME"]


@pytest.mark.parametrize(("rcode", "name"), [(2, "SERVFAIL"), (5, "REFUSED"), (11, "DSOTYPENI")])
def test_a_resolvers_own_trouble_has_its_code(rcode: int, name: str) -> None:
    with pytest.raises(BadAnswerError) as caught:
        answers.read(message(rcode=rcode), NAME, "A")
    assert caught.value.rcode == name


@pytest.mark.parametrize(
    ("wire", "says"),
    [
        (b"", "malformed"),
        (b"<html>", "malformed"),
        (message(f"{NAME}. 1 IN A 192.0.2.1")[:-2], "malformed"),
        (message() + b"junk", "malformed"),
        (message(id=7), "another question"),
        (message(flags=dns.flags.TC), "truncated"),
        (answers.question(NAME, "A"), "no answer"),
        (
            message(f"{NAME}. 1 IN CNAME b.example.test.", f"b.example.test. 1 IN CNAME {NAME}."),
            "without an end",
        ),
    ],
)
def test_what_is_no_answer_is_refused_without_a_code(wire: bytes, says: str) -> None:
    with pytest.raises(BadAnswerError, match=says) as caught:
        answers.read(wire, NAME, "A")
    assert caught.value.rcode == ""


def test_an_answer_to_another_name_or_type_is_refused() -> None:
    wire = message(f"{NAME}. 1 IN A 192.0.2.1")
    for name, kind in (("evil.example.test", "A"), (NAME, "AAAA")):
        with pytest.raises(BadAnswerError, match="another question"):
            answers.read(wire, name, kind)
    assert answers.read(wire, NAME.upper(), "A").records


def test_damaged_bytes_never_end_in_another_exception() -> None:
    good = message(f"{NAME}. 1 IN HTTPS 1 . alpn=h2 ipv4hint=192.0.2.7", kind="HTTPS")
    chance = random.Random(5)  # noqa: S311  the same damage in each run
    for _ in range(3000):
        bad = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            bad[chance.randrange(len(bad))] = chance.randrange(256)
        with suppress(BadAnswerError):
            answers.read(bytes(bad[: chance.randint(0, len(bad))]), NAME, "HTTPS")


def test_the_json_form_means_the_same() -> None:
    found = answers.read_json(as_json(), NAME, "A")
    assert found.records == (Record(NAME, "A", "192.0.2.1", 60),)
    alias = {"name": NAME, "type": 5, "TTL": 9, "data": "b.example.test."}
    address = {"name": "b.example.test", "type": 1, "TTL": 60, "data": "192.0.2.1"}
    found = answers.read_json(as_json(Answer=[alias, address]), NAME, "A")
    assert [one.type for one in found.records] == ["CNAME", "A"]
    nothing = as_json(
        Status=3,
        Answer=None,
        Authority=[{"name": "test", "type": 6, "TTL": 300, "data": SOA.split("SOA ")[1]}],
    )
    found = answers.read_json(nothing, NAME, "A")
    assert (found.nothing, found.ttl) == (answers.NXDOMAIN, 45)


def test_the_json_form_of_an_https_record_may_be_in_hexadecimal() -> None:
    record = {"name": NAME, "type": 65, "TTL": 60, "data": r"\# 10 00 01 00 00 01 00 03 02 68 32"}
    value = as_json(Question=[{"name": NAME, "type": 65}], Answer=[record])
    assert answers.read_json(value, NAME, "HTTPS").records[0].value == '1 . alpn="h2"'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"<html>", "malformed JSON"),
        (b"[" * 60000, "malformed JSON"),
        (b"[]", "malformed JSON"),
        (b"{}", "malformed JSON"),
        (as_json(Question="x"), "malformed JSON"),
        (
            as_json(Answer=[{"name": NAME, "type": 1, "TTL": 1, "data": "\x1b[2J"}]),
            "cannot be read",
        ),
        (as_json(Answer=[{"name": "a..b", "type": 1, "TTL": 1, "data": "192.0.2.1"}]), "cannot"),
        (as_json(Question=[{"name": "evil.test", "type": 1}]), "another question"),
        (as_json(Question=[{"name": NAME, "type": 28}]), "another question"),
        (as_json(TC=True), "truncated"),
        (as_json(Status=2), "SERVFAIL"),
        (as_json(Status=999999), "RCODE999999"),
    ],
)
def test_bad_json_is_refused(text: bytes, says: str) -> None:
    with pytest.raises(BadAnswerError, match=says):
        answers.read_json(text, NAME, "A")
