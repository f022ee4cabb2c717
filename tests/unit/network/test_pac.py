"""PAC scripts: what they may call, what they may cost, what their answers mean."""

import sys
from datetime import datetime

import pytest

from pyodide_offline.errors import SettingsError
from pyodide_offline.network import pac
from pyodide_offline.network.pac import Machine, Outcome, read, run, shown

_NET = Machine({"web.corp": ["10.1.2.3"], "v6.test": ["2001:db8::7"]}, ["192.0.2.7", "fe80::1"])


def _run(script: str, host: str = "www.example.com", machine: Machine = _NET) -> Outcome:
    return run(script, f"https://{host}/", host, machine, "The PAC file x")


def _value(expression: str, machine: Machine = _NET) -> str:
    script = f"function FindProxyForURL(url, host) {{ return String({expression}); }}"
    return _run(script, machine=machine).answer


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("isPlainHostName('www')", "true"),
        ("isPlainHostName('www.corp')", "false"),
        ("dnsDomainIs('www.Corp.com', '.corp.COM')", "true"),
        ("dnsDomainIs('corp.com', '.corp.com')", "false"),
        ("dnsDomainIs('m', '.corp.com')", "false"),
        ("localHostOrDomainIs('www', 'www.corp.com')", "true"),
        ("localHostOrDomainIs('www.corp.com', 'www.corp.com')", "true"),
        ("localHostOrDomainIs('www.other.com', 'www.corp.com')", "false"),
        ("localHostOrDomainIs('ww', 'www.corp.com')", "false"),
        ("dnsDomainLevels('www.corp.com')", "2"),
        ("dnsResolve('web.corp')", "10.1.2.3"),
        ("dnsResolve('WEB.corp')", "10.1.2.3"),
        ("dnsResolve('192.0.2.1')", "192.0.2.1"),
        ("dnsResolve('v6.test')", "null"),
        ("dnsResolveEx('v6.test')", "2001:db8::7"),
        ("isResolvable('web.corp')", "true"),
        ("isResolvable('v6.test')", "false"),
        ("isResolvableEx('v6.test')", "true"),
        ("myIpAddress()", "192.0.2.7"),
        ("myIpAddressEx()", "192.0.2.7;fe80::1"),
        ("isInNet('web.corp', '10.1.0.0', '255.255.0.0')", "true"),
        ("isInNet('web.corp', '10.2.0.0', '255.255.0.0')", "false"),
        ("isInNet('200.1.2.3', '200.1.0.0', '255.255.0.0')", "true"),
        ("isInNet('v6.test', '0.0.0.0', '0.0.0.0')", "false"),
        ("isInNet('10.1.2.3', 'junk', '255.0.0.0')", "false"),
        ("isInNetEx('10.1.2.3', '10.0.0.0/8')", "true"),
        ("isInNetEx('10.1.2.3', '10.1.2.4/31')", "false"),
        ("isInNetEx('2001:db8::7', '2001:db8::/32')", "true"),
        ("isInNetEx('2001:db9::7', '2001:db8::/32')", "false"),
        ("isInNetEx('::ffff:1.2.3.4', '::ffff:1.2.0.0/112')", "true"),
        ("isInNetEx('10.1.2.3', '::/0')", "false"),
        ("convert_addr('0.0.1.2')", "258"),
        ("shExpMatch('www.corp.com', '*.corp.com')", "true"),
        ("shExpMatch('corp.com', '*.corp.com')", "false"),
        ("shExpMatch('www.corp.com', 'www.?orp.*')", "true"),
        ("shExpMatch('wwwxcorp', 'www.corp')", "false"),
        ("shExpMatch('a(b)[c]', '*(b)[?]')", "true"),
        ("shExpMatch('', '*')", "true"),
        ("sortIpAddressList('10.0.0.1;::1')", "10.0.0.1;::1"),
        ("getClientVersion()", "1.0"),
        ("alert('x')", "undefined"),
    ],
)
def test_what_a_script_may_call(expression: str, value: str) -> None:
    assert _value(expression) == value


# A Wednesday.
_THEN = Machine({}, (), datetime(2026, 11, 25, 22, 30, 15).timestamp() * 1000)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("weekdayRange('WED')", "true"),
        ("weekdayRange('MON', 'FRI')", "true"),
        ("weekdayRange('FRI', 'TUE')", "false"),
        ("weekdayRange('TUE', 'SUN')", "true"),
        ("weekdayRange('nonsense')", "false"),
        ("dateRange(25)", "true"),
        ("dateRange(24)", "false"),
        ("dateRange('NOV')", "true"),
        ("dateRange('OCT', 'JAN')", "true"),
        ("dateRange('JAN', 'OCT')", "false"),
        ("dateRange(20, 'NOV', 5, 'DEC')", "true"),
        ("dateRange(1, 'DEC', 5, 'JAN')", "false"),
        ("dateRange('NOV', 2025, 'JAN', 2026)", "false"),
        ("dateRange('NOV', 2025, 'JAN', 2027)", "true"),
        ("dateRange(1, 'JAN', 2026, 25, 'NOV', 2026)", "true"),
        ("dateRange(2027)", "false"),
        ("timeRange(22)", "true"),
        ("timeRange(9, 17)", "false"),
        ("timeRange(22, 23)", "true"),
        ("timeRange(20, 0, 6, 0)", "true"),
        ("timeRange(22, 31, 23, 0)", "false"),
        ("timeRange(22, 30, 0, 22, 30, 20)", "true"),
    ],
)
def test_days_and_times(expression: str, value: str) -> None:
    assert _value(expression, _THEN) == value


def test_times_can_be_in_gmt() -> None:
    midnight = Machine({}, (), 1000 * 86400 * 20000.0)  # a Friday there
    assert _value("timeRange(0, 'GMT')", midnight) == "true"
    assert _value("timeRange(1, 'GMT')", midnight) == "false"
    assert _value("weekdayRange('FRI', 'GMT')", midnight) == "true"
    assert _value("dateRange(4, 'OCT', 2024, 'GMT')", midnight) == "true"


def test_a_name_that_is_not_known_yet_is_asked_for() -> None:
    script = """
    function FindProxyForURL(url, host) {
      if (isInNet(host, "10.0.0.0", "255.0.0.0") || isResolvable("b.test")) return "DIRECT";
      return "PROXY p:1";
    }"""
    assert _run(script, "a.test", Machine({})).missing == ("a.test", "b.test")
    told = _run(script, "a.test", Machine({"a.test": ["10.0.0.1"]}))
    assert told == Outcome("DIRECT")


def test_the_script_sees_scheme_host_and_port() -> None:
    assert shown("https", "a.test", 443) == "https://a.test/"
    assert shown("https", "a.test", 8443) == "https://a.test:8443/"
    assert shown("http", "2001:db8::1", 80) == "http://[2001:db8::1]/"
    script = "function FindProxyForURL(url, host) { return url + ' ' + host; }"
    assert _run(script, 'quote"and\\').answer == 'https://quote"and\\/ quote"and\\'


def test_the_function_of_the_ipv6_extensions_will_do() -> None:
    assert _run("function FindProxyForURLEx(url, host) { return 'DIRECT'; }").answer == "DIRECT"


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("function FindProxyForURL( {", "SyntaxError"),
        ("var a = 1;", "FindProxyForURLEx is not defined"),
        ("function FindProxyForURL() { return nonsense; }", "nonsense is not defined"),
        ("function FindProxyForURL() { throw 'no'; }", "no."),
        ("function FindProxyForURL() { while (true) {} }", "runs longer than"),
        ("var a = []; while (true) a.push(new Array(1000).fill('x'));", "more than 32 MiB"),
        ("function f() { return f() + 1; } f();", "RangeError|stack"),
        ("require('fs')", "require is not defined"),
    ],
)
def test_a_script_that_is_broken_or_costs_too_much_is_an_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch, script: str, says: str
) -> None:
    monkeypatch.setattr(pac, "SECONDS", 0.3)
    with pytest.raises(SettingsError, match=says) as caught:
        _run(script)
    assert caught.value.what.startswith("The PAC file x is no PAC file that can be used: ")


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "quickjs", None)
    with pytest.raises(SettingsError) as caught:
        _run("function FindProxyForURL() { return 'DIRECT'; }")
    assert caught.value.next_step == "Type: pip install 'pyodide-offline[pac]'"


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("PROXY a:3128", ["http://a:3128"]),
        ("proxy a:3128 ;HTTPS b:443;", ["http://a:3128", "https://b:443"]),
        ("SOCKS a; SOCKS5 b:1081", ["socks5h://a:1080", "socks5h://b:1081"]),
        ("PROXY a", ["http://a:80"]),
        ("PROXY [2001:db8::1]:8080; DIRECT", ["http://[2001:db8::1]:8080", "no proxy"]),
        ("SOCKS4 old:1080; PROXY a:1", ["http://a:1"]),
        ("DIRECT", []),
        ("DIRECT; DIRECT", []),
        ("", []),
    ],
)
def test_what_an_answer_means(answer: str, found: list[str]) -> None:
    upstreams = read(answer, "The PAC file x")
    assert [str(one) for one in upstreams] == found
    assert not any(one.named for one in upstreams)


@pytest.mark.parametrize("answer", ["SOCKS4 a:1", "nonsense", "PROXY joe:hunter2@a:1"])
def test_an_answer_with_nothing_usable_is_an_error(answer: str) -> None:
    with pytest.raises(SettingsError):
        read(answer, "The PAC file x")
