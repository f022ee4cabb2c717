"""A mirror is no open proxy: named hosts only, no way inside by any notation."""

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyodide_offline.errors import ForbiddenError, SettingsError
from pyodide_offline.features.mirror import allowlist
from pyodide_offline.features.mirror.allowlist import Allowlist

LIST = Allowlist(
    (allowlist.upstream("https://registry.test/npm/"), allowlist.upstream("http://10.0.0.5:4873/")),
    (allowlist.allowed("files.test"), allowlist.allowed("*.cdn.test"), allowlist.allowed("8.8.8.8"),
     allowlist.allowed("127.0.0.1"), allowlist.allowed("2130706433")),
)  # fmt: skip


@pytest.mark.parametrize(
    "url",
    [
        "https://registry.test/npm/left-pad",
        "https://REGISTRY.test./x",
        "https://registry.test:443/x",
        "https://me:pass@registry.test/x",
        "http://10.0.0.5:4873/x",  # the operator's own, though private and plain
        "https://files.test/a.whl",
        "https://a.b.cdn.test/x",
        "https://8.8.8.8/x",
    ],
)
def test_named_places_are_gone_to(url):
    LIST.check(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.test/x",
        "http://registry.test/x",
        "https://registry.test:8443/x",
        "https://cdn.test/x",
        "https://evilcdn.test/x",
        "https://files.test.evil.test/x",
        "https://files.test@evil.test/x",
        "https://evil.test\\@files.test/x",
        "https://evil.test#@files.test/x",
        "https://evil.test?@files.test/x",
        "https://evil.test /files.test",
        "https://files.test\r\nHost: evil.test/",
        "ftp://files.test/x",
        "file:///etc/passwd",
        "//files.test/x",
        "https:///x",
        "https://[::1/x",
        "https://files.test:99999/x",
        "http://10.0.0.5/x",
        "https://127.0.0.1/x",  # allowed besides, but not named: it leads inside
        "https://2130706433/x",
        "",
    ],
)
def test_no_other_place_is_gone_to(url):
    with pytest.raises(ForbiddenError):
        LIST.check(url)


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.1",
        "100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1",
        "fec0::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1",
        "64:ff9b:1::7f00:1", "2002:7f00:1::", "2002:a00:1::", "2001:0:1::1", "2001:db8::1",
    ],
)  # fmt: skip
def test_addresses_that_are_inside(text):
    found = ipaddress.ip_address(text)
    assert allowlist.private(found)
    with pytest.raises(ForbiddenError, match=r"not a public one"):
        LIST.check_addresses(LIST.check("https://files.test/"), [found])
    # The operator's own upstream may be where he says.
    LIST.check_addresses(LIST.check("https://registry.test/"), [found])


@pytest.mark.parametrize("text", ["8.8.8.8", "2606:4700::6810:1", "::ffff:8.8.8.8"])
def test_addresses_that_are_outside(text):
    assert not allowlist.private(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    ("host", "meant"),
    [
        ("127.1", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("10.258", "10.0.1.2"),
        ("::1", "::1"),
    ],
)
def test_an_address_is_known_in_every_notation(host, meant):
    assert allowlist.address(host) == ipaddress.ip_address(meant)


@pytest.mark.parametrize(
    "host", ["registry.test", "1.2.3.4.5", "256.1.1.1", "a", "", "0x", "\uff11.1"]
)
def test_a_name_is_no_address(host):
    assert allowlist.address(host) in (None, ipaddress.IPv4Address(0))


@pytest.mark.parametrize("text", ["*", "*.com", "", "a/b", "https://x.test", "a b"])
def test_hosts_that_would_allow_too_much(text):
    with pytest.raises(SettingsError):
        allowlist.allowed(text)


@settings(derandomize=True, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_refused_or_leads_to_the_list(text):
    for url in (text, f"https://{text}", f"https://files.test{text}"):
        try:
            door = LIST.check(url)
        except ForbiddenError:
            continue
        assert any(one.fits(door) for one in (*LIST.named, *LIST.besides))
