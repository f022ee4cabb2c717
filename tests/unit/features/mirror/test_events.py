"""Counts, lines of JSON and last errors of the mirror."""

import io
import json
import os
import subprocess
import sys

from pyodide_offline.features.mirror.events import Detail, Events


def _lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_each_kind_is_counted_and_the_sum_is_theirs():
    events = Events(io.StringIO())
    events.hit("npm")
    events.hit("npm")
    events.hit("pypi")
    events.upstream("npm", "registry.test", 0.2, "ok", size=7)
    assert events.count("hits") == 3
    assert events.count("hits", kind="npm") == 2
    text = events.metrics().decode()
    assert 'pyodide_offline_mirror_hits_total{kind="pypi"} 1.0' in text
    assert 'pyodide_offline_mirror_fetched_bytes_total{host="registry.test"} 7.0' in text


def test_what_is_rare_is_told_as_json_and_requests_only_where_asked_for():
    quiet, full = io.StringIO(), io.StringIO()
    for stream, detail in ((quiet, Detail.EVENTS), (full, Detail.REQUESTS)):
        events = Events(stream, detail)
        events.miss("npm", "left-pad")
        events.opened()
        events.answered("GET", "/npm/left-pad", 200, 0.1)
    assert [one["event"] for one in _lines(quiet)] == ["miss"]
    assert [one["event"] for one in _lines(full)] == ["miss", "request"]
    assert _lines(full)[1]["status"] == 200


def test_a_line_stays_one_line_and_no_secret_gets_into_it():
    stream = io.StringIO()
    events = Events(stream)
    events.error("upstream", 'https://me:hunter2@host/\n{"event": "forged"}')
    events.miss("npm", "a\r\nb\u2028c")
    assert len(stream.getvalue().splitlines()) == 2
    assert "hunter2" not in stream.getvalue()
    assert "hunter2" not in events.errors[0].what


def test_errors_are_kept_up_to_a_number():
    events = Events(io.StringIO())
    for number in range(200):
        events.error("depot", number)
    assert len(events.errors) == 50
    assert events.errors[-1].what == "199"
    assert events.count("errors", part="depot") == 200


def test_a_log_that_cannot_be_written_ends_nothing():
    stream = io.StringIO()
    stream.close()
    events = Events(stream)
    events.error("depot", "gone")
    assert events.count("lost_log_lines") == 1


def test_requests_under_way_are_a_gauge_and_broken_ones_have_their_own_class():
    events = Events(io.StringIO())
    events.opened()
    events.opened()
    events.answered("GET", "/", 0, 1.0)
    text = events.metrics().decode()
    assert "pyodide_offline_mirror_open_requests 1.0" in text
    assert events.count("responses", status="broken") == 1


def test_the_counts_of_several_processes_are_one(tmp_path):
    code = (
        "from pyodide_offline.features.mirror.events import Events\n"
        "events = Events(); events.hit('npm'); print(events.count('hits'))"
    )
    environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    said = [
        subprocess.run(
            [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
        ).stdout.strip()
        for _ in range(2)
    ]
    assert said == ["1.0", "2.0"]
