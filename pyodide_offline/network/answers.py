"""DNS questions and answers as bytes and values: RFC 1035 §4, RFC 8484 §4, and the JSON form.

An answer is believed only when it is one to this question:

- the id is 0, as asked (RFC 8484 §4.1), the QR bit is set, the question is repeated;
- not truncated: over HTTPS there is no larger transport to go to;
- NOERROR or NXDOMAIN; any other code (RFC 1035 §4.1.1) is the resolver's own trouble;
- the records of the wanted type hang on the name, directly or by CNAMEs (RFC 1034 §3.6.2).

That a name has nothing is an answer, kept for the SOA's minimum at most (RFC 2308 §5).
"""

import ipaddress
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype

TYPES = ("A", "AAAA", "HTTPS", "SVCB")
ADDRESSES = ("A", "AAAA")
LONGEST = 65535  # bytes of a message (RFC 8484 §6); the JSON form gets as much
NXDOMAIN = "NXDOMAIN"
NO_RECORD = "no such record"
_CHAIN = 16  # CNAMEs, more than any honest zone has
_LONGEST_TTL = 86400
_LONGEST_NEGATIVE_TTL = 300
_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
# Owner, type, seconds, data: what both forms of an answer consist of.
_Resource = tuple[dns.name.Name, dns.rdatatype.RdataType, int, Any]


class BadAnswerError(Exception):
    """What came is no usable answer. ``rcode`` is set where the resolver itself said so."""

    def __init__(self, reason: str, *, rcode: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.rcode = rcode


@dataclass(frozen=True)
class Record:
    """One resource record as text; ``ttl`` in seconds."""

    owner: str
    type: str
    value: str
    ttl: int


@dataclass(frozen=True)
class Answer:
    """What a resolver says of one name and type: CNAMEs first, then what was asked for.

    ``nothing`` says why there is no record of the type; ``ttl`` is how long all of it may
    be kept.
    """

    name: str
    type: str
    records: tuple[Record, ...]
    ttl: int
    nothing: str = ""


def canonical(text: str) -> str:
    """Return a host name in lower case, ASCII, without the last dot. Raises ValueError."""
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        pass
    else:
        raise ValueError(f"{text} is an address already.")
    try:
        name = dns.name.from_text(text, idna_codec=dns.name.IDNA_2003)
    except (dns.exception.DNSException, UnicodeError) as error:
        raise ValueError(f"{text!r} is no host name: {error}") from error
    plain = name.to_text(omit_final_dot=True).lower()
    if not _HOST.fullmatch(plain):
        raise ValueError(f"{text!r} is no host name.")
    return plain


def question(name: str, kind: str) -> bytes:
    """Return the message that asks: id 0, so that GETs of one question are one URL."""
    asked = dns.message.make_query(dns.name.from_text(name), kind, id=0, use_edns=0)
    return asked.to_wire()


def read(wire: bytes, name: str, kind: str) -> Answer:
    """Return what a message answers to this question. Raises BadAnswerError."""
    try:
        message = dns.message.from_wire(wire, one_rr_per_rrset=False)
    except Exception as error:  # whatever a hostile message provokes in the parser
        raise BadAnswerError(f"a malformed answer ({type(error).__name__})") from error
    if not message.flags & dns.flags.QR or message.opcode() != dns.opcode.QUERY:
        raise BadAnswerError("a message that is no answer")
    if message.id != 0:
        raise BadAnswerError("an answer to another question (its id differs)")
    asked = [(one.name, int(one.rdtype)) for one in message.question]
    _same_question(asked, name, kind)
    if message.flags & dns.flags.TC:
        raise BadAnswerError("a truncated answer")
    sections: Sequence[list[_Resource]] = [
        [
            (one.name, one.rdtype, one.ttl, rdata)
            for one in section
            if one.rdclass == dns.rdataclass.IN
            for rdata in one
        ]
        for section in (message.answer, message.authority)
    ]
    return _conclude(name, kind, int(message.rcode()), *sections)


def read_json(text: bytes, name: str, kind: str) -> Answer:
    """Return what the JSON form (application/dns-json) answers. Raises BadAnswerError.

    Not standardised: the fields are those that Google's and Cloudflare's resolvers share.
    """
    try:
        value = json.loads(text)
        status, truncated = int(value["Status"]), bool(value.get("TC"))
        asked = [(_name(one["name"]), int(one["type"])) for one in _list(value["Question"])]
        sections = [_resources(value.get(part) or [], kind) for part in ("Answer", "Authority")]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BadAnswerError(f"malformed JSON ({type(error).__name__})") from error
    except dns.exception.DNSException as error:
        raise BadAnswerError(f"a record that cannot be read ({type(error).__name__})") from error
    _same_question(asked, name, kind)
    if truncated:
        raise BadAnswerError("a truncated answer")
    return _conclude(name, kind, status, *sections)


def _same_question(asked: Sequence[tuple[dns.name.Name, int]], name: str, kind: str) -> None:
    if asked != [(dns.name.from_text(name), int(dns.rdatatype.from_text(kind)))]:
        raise BadAnswerError("an answer to another question")


def _conclude(
    name: str, kind: str, rcode: int, answer: Sequence[_Resource], authority: Sequence[_Resource]
) -> Answer:
    if rcode not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        code = _rcode(rcode)
        raise BadAnswerError(code, rcode=code)
    chain = _follow(answer, dns.name.from_text(name), kind)
    records = tuple(_record(one) for one in chain)
    if records and records[-1].type == kind:
        ttl = min(min(one.ttl for one in records), _LONGEST_TTL)
        return Answer(name, kind, records, ttl)
    nothing = NXDOMAIN if rcode == dns.rcode.NXDOMAIN else NO_RECORD
    return Answer(name, kind, records, _negative_ttl(authority), nothing)


def _follow(resources: Iterable[_Resource], owner: dns.name.Name, kind: str) -> list[_Resource]:
    """Return the CNAMEs from ``owner`` on, then the records of the type at their end."""
    by_owner: dict[tuple[dns.name.Name, dns.rdatatype.RdataType], list[_Resource]] = {}
    for one in resources:
        by_owner.setdefault((one[0], one[1]), []).append(one)
    wanted = dns.rdatatype.from_text(kind)
    chain: list[_Resource] = []
    for _ in range(_CHAIN):
        if found := by_owner.get((owner, wanted)):
            return [*chain, *found]
        aliases = by_owner.get((owner, dns.rdatatype.CNAME))
        if not aliases:
            return chain
        chain.append(aliases[0])
        owner = aliases[0][3].target
    raise BadAnswerError("a chain of CNAMEs without an end")


def _negative_ttl(authority: Iterable[_Resource]) -> int:
    """Return RFC 2308 §5's time; 0 without an SOA: such an answer is not kept."""
    times = [
        min(ttl, data.minimum) for _, kind, ttl, data in authority if kind == dns.rdatatype.SOA
    ]
    return min([*times, _LONGEST_NEGATIVE_TTL]) if times else 0


def _record(resource: _Resource) -> Record:
    owner, kind, ttl, data = resource
    # dnspython escapes what is not printable, so nothing in here can steer a terminal.
    value = data.target if kind == dns.rdatatype.CNAME else data
    text = value.to_text(omit_final_dot=True) if value is not data else value.to_text()
    return Record(owner.to_text(omit_final_dot=True), dns.rdatatype.to_text(kind), text, ttl)


def _resources(listed: object, kind: str) -> list[_Resource]:
    wanted = {dns.rdatatype.from_text(kind), dns.rdatatype.CNAME, dns.rdatatype.SOA}
    found = []
    for one in _list(listed):
        number, ttl = dns.rdatatype.RdataType.make(int(one["type"])), int(one["TTL"])
        if number in wanted:
            data = dns.rdata.from_text("IN", number, str(one["data"]))
            found.append((_name(one["name"]), number, max(ttl, 0), data))
    return found


def _list(value: object) -> list[Mapping[str, str]]:
    # Some resolvers give one question as an object instead of a list of one.
    return [value] if isinstance(value, dict) else list(value)  # type: ignore[call-overload]


def _name(text: str) -> dns.name.Name:
    return dns.name.from_text(str(text))


def _rcode(number: int) -> str:
    try:
        return dns.rcode.to_text(dns.rcode.Rcode.make(number))
    except ValueError:
        return f"RCODE{number}"
