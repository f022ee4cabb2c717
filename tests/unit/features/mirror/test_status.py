"""The status page as text: every word escaped, nothing from elsewhere."""

import io
import re
import time
from collections import Counter

from pyodide_offline.features.mirror import status
from pyodide_offline.features.mirror.census import Count
from pyodide_offline.features.mirror.events import Events


def _events():
    events = Events(io.StringIO())
    for _ in range(3):
        events.hit("npm")
    events.miss("npm", "left-pad")
    events.upstream("npm", "registry.test", 0.5, "ok", 10)
    events.upstream("npm", "registry.test", 1.5, "network")
    return events


def test_figures_upstreams_and_errors_are_shown():
    events = _events()
    events.error("depot", "The store is away.")
    count = Count(time.time(), 1234, 5_600_000, Counter({"npm": 7, "pins": 9}))
    text = status.render(events, "folder /srv", count, depot=True)
    for shown in ("75.0%", "1,234", "5.6 MB", "registry.test", "1.00 s", "The store is away."):
        assert shown in text
    assert "pins" not in text


def test_nothing_yet():
    text = status.render(Events(io.StringIO()), "folder /srv", None, depot=False)
    for shown in ("being counted", "nothing asked yet", "None was asked.", "does not answer"):
        assert shown in text


def test_words_from_outside_are_escaped():
    events = _events()
    events.error("upstream", "<script>alert('x')</script>\x1b[31m\u202eevil")
    text = status.render(events, "<b>", None, depot=True)
    assert "<script" not in text
    assert "<b>" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_the_page_needs_nothing_and_its_policy_lets_nothing_in():
    text = status.render(_events(), "folder /srv", None, depot=True)
    assert not re.findall(r"https?://|<script|<link|<img|\son\w+=", text)
    policy = status.HEADERS["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


def test_upstreams_are_summed_by_host_and_kind():
    found = status.upstreams(_events())
    assert [(one.host, one.kind, one.well, one.failed) for one in found] == [
        ("registry.test", "npm", 1, 1)
    ]
    assert found[0].seconds == 1.0


def test_sizes_and_spans_are_for_people():
    assert [status._size(n) for n in (5, 5e3, 5e15)] == ["5 B", "5.0 KB", "5000.0 TB"]
    assert [status._span(n) for n in (59, 3700, 400_000)] == ["0 min", "1 h 1 min", "4 days"]
