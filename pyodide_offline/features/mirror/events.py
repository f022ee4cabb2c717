"""What happens in the mirror: counted for Prometheus, told as lines of JSON, the last errors kept.

Labels are words of our own code and hosts of allowed upstreams, never a client's words: their
number is bounded. No method raises or waits, and no secret gets into a line.
"""

import json
import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import TextIO

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from pyodide_offline import redact

# When each counter began says nothing here, and doubles the list.
disable_created_metrics()  # type: ignore[no-untyped-call]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_KEPT_ERRORS = 50
_LONGEST = 500
_CLASSES = ("broken", "1xx", "2xx", "3xx", "4xx", "5xx", "6xx", "7xx", "8xx", "9xx")
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Detail(IntEnum):
    """How much is told: errors alone; also what is rare (misses, upstreams); each request."""

    ERRORS = 0
    EVENTS = 1
    REQUESTS = 2


@dataclass(frozen=True)
class Noted:
    """One of the last errors: when (unix seconds), where in the mirror, and what."""

    when: float
    where: str
    what: str


class Events:
    """Counters, log and last errors of one front."""

    def __init__(self, stream: TextIO | None = None, detail: Detail = Detail.EVENTS) -> None:
        self.detail = detail
        self.errors: deque[Noted] = deque(maxlen=_KEPT_ERRORS)
        self.started = time.time()
        self._stream = stream or sys.stderr
        self._children: dict[tuple[int, str], Counter] = {}
        self._registry = registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"pyodide_offline_mirror_{name}", text, labels, registry=registry)

        self._hits = counter("hits", "Requests answered from what is held.", "kind")
        self._misses = counter("misses", "Requests that needed an upstream.", "kind")
        self._stale = counter("stale", "Old indexes given while an upstream was down.", "kind")
        self._refused = counter("refused", "Requests refused, by reason.", "reason")
        self._faults = counter("errors", "Errors, by the part that met them.", "part")
        self._sent = counter("sent_bytes", "Bytes of bodies handed out.", "kind")
        self._fetched = counter("fetched_bytes", "Bytes taken from upstreams.", "host")
        self._responses = counter("responses", "Responses by status class.", "status")
        self._lost = counter("lost_log_lines", "Log lines that could not be written.")
        self._upstreams = Histogram(
            "pyodide_offline_mirror_upstream_seconds",
            "Time of a fetch from an upstream, to its last byte.",
            ("kind", "host", "outcome"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._open = Gauge(
            "pyodide_offline_mirror_open_requests",
            "Requests under way.",
            registry=registry,
            multiprocess_mode="livesum",
        )

    def hit(self, kind: str) -> None:
        """A request was answered from what is held."""
        self._child(self._hits, kind).inc()

    def miss(self, kind: str, name: str = "") -> None:
        """A request needs an upstream."""
        self._misses.labels(kind).inc()
        self._tell(Detail.EVENTS, "miss", kind=kind, name=name)

    def stale(self, kind: str, name: str = "") -> None:
        """An old index was given, its upstream being down."""
        self._stale.labels(kind).inc()
        self._tell(Detail.EVENTS, "stale", kind=kind, name=name)

    def upstream(
        self, kind: str, host: str, seconds: float, outcome: str = "ok", size: int = 0
    ) -> None:
        """A fetch ended; ``outcome`` is one word: ok, missing, digest, refused, network..."""
        self._upstreams.labels(kind, host, outcome).observe(seconds)
        self._fetched.labels(host).inc(size)
        self._tell(
            Detail.EVENTS,
            "upstream",
            kind=kind,
            host=host,
            seconds=round(seconds, 3),
            outcome=outcome,
            size=size,
        )

    def refused(self, reason: str, client: str = "") -> None:
        """A request was refused; ``reason`` is one word: token, rate, size, host..."""
        self._refused.labels(reason).inc()
        self._tell(Detail.EVENTS, "refused", reason=reason, client=client)

    def sent(self, kind: str, size: int) -> None:
        """Bytes of a body were handed out."""
        self._child(self._sent, kind).inc(size)

    def opened(self) -> None:
        """A request begins."""
        self._open.inc()

    def answered(
        self, method: str, path: str, status: int, seconds: float, client: str = ""
    ) -> None:
        """A request ended; status 0 says that it was broken off."""
        self._open.dec()
        self._child(self._responses, _CLASSES[status // 100]).inc()
        if self.detail >= Detail.REQUESTS:
            self._tell(
                Detail.REQUESTS,
                "request",
                method=method,
                path=path,
                status=status,
                seconds=round(seconds, 4),
                client=client,
            )

    def error(self, part: str, what: object) -> None:
        """Something went wrong in a part of the mirror: depot, upstream, chain..."""
        text = _cleaned(str(what))
        self._faults.labels(part).inc()
        self.errors.append(Noted(time.time(), part, text))
        self._tell(Detail.ERRORS, "error", part=part, what=text)

    def note(self, event: str, **values: object) -> None:
        """Tell something rare that is counted nowhere: started, stopping, pin accepted..."""
        self._tell(Detail.EVENTS, event, **values)

    def _child(self, counter: Counter, label: str) -> Counter:
        """Return a counter with its label, found once: each request needs some."""
        key = id(counter), label
        if (found := self._children.get(key)) is None:
            found = self._children[key] = counter.labels(label)
        return found

    def metrics(self) -> bytes:
        """Return all that is counted, in Prometheus' text format."""
        return generate_latest(self._readable())

    def count(self, name: str, **labels: str) -> float:
        """Return the sum of a counter over all its labels but those named: `count("hits")`."""
        return sum(
            value
            for sample, found, value in self.samples()
            if sample == f"pyodide_offline_mirror_{name}_total" and labels.items() <= found.items()
        )

    def samples(self) -> Iterator[tuple[str, dict[str, str], float]]:
        """Yield each sample's name, labels and value."""
        for metric in self._readable().collect():
            for sample in metric.samples:
                yield sample.name, sample.labels, sample.value

    def _readable(self) -> CollectorRegistry:
        """Return what holds the counts of all processes of this front."""
        if not os.environ.get(MULTIPROCESS_VARIABLE):
            return self._registry
        everyone = CollectorRegistry()
        MultiProcessCollector(everyone)  # type: ignore[no-untyped-call]
        return everyone

    def _tell(self, detail: Detail, event: str, **values: object) -> None:
        if detail > self.detail:
            return
        told = {
            name: _cleaned(value) if isinstance(value, str) else value
            for name, value in values.items()
            if value != ""
        }
        record = {"time": _now(), "event": event, **told}
        try:
            self._stream.write(json.dumps(record, ensure_ascii=True, default=str) + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            self._lost.inc()


def _now() -> str:
    seconds = time.time()
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03}Z"


def _cleaned(text: str) -> str:
    return redact.text(text[:_LONGEST])
