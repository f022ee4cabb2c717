"""Why there is no connection or no tunnel, in words. Pure.

Status codes as RFC 9110 §15 has them, and as proxies use them for CONNECT.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Literal

from pyodide_offline import redact
from pyodide_offline.errors import NetworkError
from pyodide_offline.network.challenges import Challenge
from pyodide_offline.network.credentials import PASSWORD_VARIABLE, USER_VARIABLE
from pyodide_offline.network.handshake import Refused
from pyodide_offline.network.login import SCHEMES
from pyodide_offline.network.proxies import Upstream, authority
from pyodide_offline.network.rounds import GivenUp, Rounds

# Why a host or a proxy was not reached; the last line is what a proxy says that was reached.
Kind = Literal[
    "name", "dns", "refused", "silent", "untrusted", "tls", "mute", "broken", "routeless",
    "other", "login", "forbidden", "busy", "unreached", "garbage",
]  # fmt: skip
# What may be otherwise a moment later. A refused login is never tried again. Who does not
# answer at all (a host, name servers) was asked several times by the system before it gave
# up, and a route that is not there does not come within seconds.
PASSING = {"refused", "tls", "mute", "broken", "other", "busy", "unreached"}
_MEANING = {
    400: "It does not take CONNECT to this port, or is no proxy.",
    401: "It wants a login in the way of a web server, which a proxy must not.",
    403: "Its rules do not allow this host or this port.",
    404: "It is a web server and no proxy, or does not know the host.",
    405: "It does not take CONNECT: a web server, or a proxy for plain http only.",
    429: "It wants fewer requests.",
    501: "It does not take CONNECT: perhaps a proxy for plain http only.",
    502: "It could not find the host, or the host closed the connection.",
    503: "It could not reach the host, or is overloaded.",
    504: "The host did not answer it in time.",
}
_PORTAL = "It sends to a web page instead: perhaps a portal that wants a login in a browser."
_MEANING.update(dict.fromkeys((301, 302, 303, 307, 308, 511), _PORTAL))
_NO_USER = "no user is known for it"
_KINDS: dict[int, Kind] = {
    0: "garbage",
    429: "busy",
    502: "unreached",
    503: "unreached",
    504: "unreached",
}
_KERBEROS_STEP = "For Negotiate, install the extra pyodide-offline[kerberos], then: kinit"
_SCHEME_STEP = "Ask who runs the proxy for a login by one of these, or for another proxy."
_LOGIN_STEP = f"Set {USER_VARIABLE} and {PASSWORD_VARIABLE}, or give it a line in ~/.netrc."


def refused(host: str, port: int, upstream: Upstream, event: Refused) -> NetworkError:
    """Return the error for a proxy that answered, but not with a tunnel."""
    if event.login:
        return _login(upstream, event)
    said = " ".join(part for part in (str(event.status or ""), event.reason) if part)
    page = f'Its page says: "{event.title}".' if event.title else ""
    step = f"Ask who runs the proxy, or check {upstream.origin} and NO_PROXY."
    kind = _KINDS.get(event.status, "forbidden")
    if kind in PASSING:
        step = f"Try again later, or check the host's name, {upstream.origin} and NO_PROXY."
    return _error(
        f"The proxy {upstream} does not let {authority(host, port)} through"
        + (f": {_sentence(said)}" if said else "."),
        [event.problem or _MEANING.get(event.status, ""), page, _named(upstream)],
        step,
        kind,
        **_facts(upstream, event),
    )


def gave_up(
    host: str,
    port: int,
    upstream: Upstream,
    rounds: Rounds,
    offered: Sequence[Challenge],
    end: GivenUp,
) -> NetworkError:
    """Return the error for a login whose rounds are over without success."""
    event = Refused(
        407,
        problem=end.problem,
        login=end.trouble,
        offered=tuple(dict.fromkeys(one.scheme for one in offered)),
        tried=rounds.scheme,
        source=rounds.source,
    )
    return refused(host, port, upstream, event)


def _login(upstream: Upstream, event: Refused) -> NetworkError:
    offered = ", ".join(event.offered) or "no scheme at all"
    if event.login == "refused":
        return _error(
            f"The proxy {upstream} does not accept the user and password.",
            [
                f"They are from {event.source} and were sent once, by {event.tried}.",
                _named(upstream),
            ],
            "Correct them, or ask who runs the proxy whether the account is locked.",
            "login",
            **_facts(upstream, event),
        )
    if event.login == "missing":
        lacking = f"no password is known for {upstream.user}" if upstream.user else _NO_USER
        return _error(
            f"The proxy {upstream} wants a login, and {lacking}.",
            [f"It offers: {offered}.", _named(upstream)],
            _LOGIN_STEP,
            "login",
            **_facts(upstream, event),
        )
    return _error(
        f"The proxy {upstream} wants a login of a kind that cannot be given.",
        [f"It offers: {offered}; known here: {', '.join(SCHEMES)}.", _named(upstream)],
        _KERBEROS_STEP if "negotiate" in event.offered else _SCHEME_STEP,
        "login",
        **_facts(upstream, event),
    )


def _facts(upstream: Upstream, event: Refused) -> dict[str, object]:
    """Return what a proxy said, for those who decide by it."""
    return {"stage": "refusal", "proxy": str(upstream), **asdict(event)}


def socks(
    host: str,
    port: int,
    upstream: Upstream,
    reason: str,
    *,
    login: bool,
    missing: bool,
    source: str,
) -> NetworkError:
    """Return the error for a SOCKS proxy that said no."""
    if login or missing:
        kind: Literal["refused", "missing"] = "refused" if login else "missing"
        offered = ("user and password",)
        return _login(
            upstream, Refused(0, login=kind, offered=offered, tried="SOCKS5", source=source)
        )
    return _error(
        f"The proxy {upstream} does not let {authority(host, port)} through: {_sentence(reason)}",
        [_named(upstream)],
        f"Ask who runs the proxy, or check {upstream.origin} and NO_PROXY.",
        "forbidden" if "ruleset" in reason else "unreached",
        stage="socks",
        proxy=str(upstream),
        reason=reason,
    )


def unreachable(
    host: str, port: int, upstream: Upstream | None, kind: Kind, reason: str = ""
) -> NetworkError:
    """Return the error for a connection that could not be made, to the proxy or directly."""
    place = f"The proxy {upstream}" if upstream else authority(host, port)
    named = _named(upstream) if upstream else "No proxy is named for it."
    step = "If this network needs a proxy, name it: export HTTPS_PROXY=http://host:port"
    if upstream:
        step = f"Check {upstream.origin} and NO_PROXY."
    facts = {"stage": kind, "proxy": str(upstream) if upstream else "", "reason": reason}
    if kind == "tls" and upstream:
        step = f"Does it speak TLS? If not, write http:// in {upstream.origin}."
    what = {
        "name": f"{place} is not found: its name has no address.",
        "dns": f"{place} is not found: no name server answers.",
        "refused": f"{place} refuses the connection.",
        "silent": f"{place} does not answer.",
        "mute": f"{place} takes the connection, but never answers.",
        "tls": f"{place} does not speak TLS as it should: {_sentence(reason)}",
        "broken": f"{place} breaks the connection.",
    }.get(kind, f"{place} cannot be reached: {_sentence(reason)}")
    return _error(what, [named], step, kind, **facts)


def target_name(host: str, upstream: Upstream) -> NetworkError:
    """Return the error for a target's name that socks5:// looks up here, in vain."""
    step = "Leave it to the proxy: write socks5h:// in place of socks5://."
    return _error(f"The name {host} is not found here.", [_named(upstream)], step, "unreached")


def last_of(failed: Sequence[NetworkError]) -> NetworkError:
    """Return the last error, with what the proxies before it said."""
    last = failed[-1]
    before = [f"Before it: {one.what}" for one in failed[:-1]]
    return NetworkError(
        last.what,
        why=" ".join(part for part in (last.why, *before) if part),
        next_step=last.next_step,
        kind=last.kind,
        facts=last.facts,
    )


def _named(upstream: Upstream) -> str:
    return f"{upstream.origin} names it."


def _error(
    what: str, why: Sequence[str], next_step: str, kind: Kind, **facts: object
) -> NetworkError:
    reasons = " ".join(part for part in why if part)
    return NetworkError(what, why=reasons, next_step=next_step, kind=kind, facts=facts)


def _sentence(text: str) -> str:
    return redact.text(" ".join(text.split())).rstrip(".") + "."
