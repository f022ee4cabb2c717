"""Answers kept for as long as they allow: one small memo of the store.

A clock that was set back must not keep an answer alive, so what is valid for longer than
any answer may be counts as outdated, too.
"""

import time
from collections.abc import Callable
from dataclasses import asdict

from pyodide_offline.network.answers import Answer, Record
from pyodide_offline.store import Store

LIMIT = 200  # answers; the ones that end first go first
_LONGEST = 86400
_KIND, _KEY = "dns", "answers"


class DnsCache:
    """What the resolvers of ``scope`` have answered; ``save`` writes once a command."""

    def __init__(self, store: Store, scope: str, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._scope = scope
        self._clock = clock
        self._new: dict[str, dict[str, object]] = {}
        kept = store.memo(_KIND, _KEY)
        self._kept = {
            key: value
            for key, value in (kept.items() if isinstance(kept, dict) else ())
            if isinstance(value, dict) and self._seconds(value) > 0
        }

    def find(self, name: str, kind: str) -> tuple[Answer, str] | None:
        """Return an answer with the seconds that it has left, and who gave it."""
        value = self._kept.get(self._key(name, kind))
        if value is None:
            return None
        left = self._seconds(value)
        try:
            records = tuple(
                Record(str(one["owner"]), str(one["type"]), str(one["value"]), left)
                for one in value["records"]
            )
            return Answer(name, kind, records, left, str(value["nothing"])), str(value["source"])
        except (KeyError, TypeError):
            return None

    def keep(self, answer: Answer, source: str) -> None:
        """Keep an answer until its time is over; one without time is not kept."""
        if answer.ttl > 0:
            self._new[self._key(answer.name, answer.type)] = {
                "until": self._clock() + answer.ttl,
                "records": [asdict(record) for record in answer.records],
                "nothing": answer.nothing,
                "source": source,
            }

    def save(self) -> None:
        """Write what is new. Two commands at once may lose an answer, never more."""
        if self._new:
            both = {**self._kept, **self._new}
            last = sorted(both, key=lambda key: self._seconds(both[key]))[-LIMIT:]
            self._store.remember(_KIND, _KEY, {key: both[key] for key in last})

    def _key(self, name: str, kind: str) -> str:
        return f"{self._scope} {kind} {name}"

    def _seconds(self, value: dict[str, object]) -> int:
        until = value.get("until")
        left = until - self._clock() if isinstance(until, int | float) else 0
        return int(left) if 0 < left <= _LONGEST else 0
