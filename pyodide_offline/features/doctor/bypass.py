"""NO_PROXY: who reads it how, and whether this machine's own dev server goes past the proxy."""

from typing import Any

from pyodide_offline.errors import SettingsError
from pyodide_offline.features.doctor import places
from pyodide_offline.features.doctor.check import Check
from pyodide_offline.features.doctor.finding import Finding, passed, skipped, warned
from pyodide_offline.features.doctor.observed import Observed
from pyodide_offline.network import proxies, readings

LOCAL = ("localhost", "127.0.0.1", "::1")
DEV_PORT = 8787  # wrangler's default


def value(observed: Observed) -> str:
    """Return NO_PROXY as we read it: lower case first."""
    return observed.environ.get("no_proxy") or observed.environ.get("NO_PROXY") or ""


def differences(observed: Observed) -> Finding:
    """Compare how programs read NO_PROXY for the hosts that are asked for here."""
    no_proxy = value(observed)
    if not _any_proxy(observed):
        return skipped("No proxy is named.")
    if not no_proxy:
        return skipped("NO_PROXY is not set.")
    wanted = [(places.official(observed).host, 443)]
    for place in (places.npm(observed), places.pypi(observed)):
        if place:
            wanted.append((place.host, place.port))
    wanted += [(host, DEV_PORT) for host in LOCAL[:2]]
    matter = [readings.row(no_proxy, *one) for one in dict.fromkeys(wanted)]
    shown = [readings.row(no_proxy, *one) for one in readings.samples(no_proxy)]
    lines = {f"{one.host}:{one.port}": dict(one.readings) for one in (*matter, *shown)}
    evidence: dict[str, Any] = {"no_proxy": no_proxy, "readings": lines}
    if readings.httpx_fails(no_proxy):
        return warned(
            "httpx ends with an error over NO_PROXY.",
            "It has an IPv6 entry in brackets, or an IPv6 network.",
            f'export NO_PROXY="{_without(no_proxy)}"',
            **evidence,
        )
    for one in matter:
        if differing := one.differing():
            ours = one.readings[readings.OURS]
            way = "directly" if ours == "direct" else "through the proxy"
            return warned(
                f"NO_PROXY sends {one.host} {way} here, but not in {', '.join(differing)}.",
                "They read its entries by other rules.",
                _entry(one, no_proxy),
                **evidence,
            )
    uneven = sum(not one.agreed for one in shown)
    more = f" ({uneven} other hosts differ, see -v)" if uneven else ""
    return passed(f"All read NO_PROXY alike for what is asked for here{more}.", **evidence)


def _entry(row: readings.Row, no_proxy: str) -> str:
    """Return an export that all programs read as we do; empty where there is none."""
    if row.readings[readings.OURS] != "direct" or no_proxy == "*":
        return ""
    return f'export NO_PROXY="{no_proxy},{row.host}"'


def _without(no_proxy: str) -> str:
    return ",".join(
        one
        for one in no_proxy.replace(" ", ",").split(",")
        if one and not readings.httpx_fails(one)
    )


def local(observed: Observed) -> Finding:
    """See whether requests to a dev server on this machine would go to the proxy."""
    environ = observed.environ
    if not _any_proxy(observed):
        return skipped("No proxy is named.")
    caught = []
    for host in LOCAL:
        try:
            if proxies.for_target(environ, "http", host, DEV_PORT):
                caught.append(host)
        except SettingsError:
            return skipped("The proxy cannot be read.")
    if not caught:
        return passed("A dev server on this machine is reached past the proxy.")
    missing = ",".join(caught)
    kept = value(observed)
    return warned(
        f"Requests to a dev server on {', '.join(caught)} go to the proxy.",
        "NO_PROXY does not name this machine, and few programs know that by themselves.",
        f'export NO_PROXY="{f"{kept},{missing}" if kept else missing}"',
        blame="network",
        repair="no-proxy",
        hosts=caught,
    )


def _any_proxy(observed: Observed) -> bool:
    names = ("http_proxy", "https_proxy", "all_proxy")
    return any(observed.environ.get(one) or observed.environ.get(one.upper()) for one in names)


CHECKS = (
    Check("proxy.bypass", "Do programs read NO_PROXY alike?", differences),
    Check("proxy.localhost", "Is a dev server here reached past the proxy?", local),
)
