"""Digests that were seen first: what agrees with them, what is new, what has changed. Pure.

A pin is one or more hashes as Subresource Integrity writes them (``sha512-… sha1-…``).
Two pins agree when they share an algorithm and are equal in each that they share; what the
newer one has besides is added. Hashes that share none are a change: a pin is not given up
for a hash of another kind, which would say nothing of the same bytes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pyodide_offline.digest import Digest, parse

_WORD = re.compile(r"(?:sha(?:1|256|384|512))-[A-Za-z0-9+/]+={0,2}|sha(?:1|256|384|512):[0-9a-f]+")


@dataclass(frozen=True)
class Comparison:
    """What a new list of digests says beside the pins; ``changed`` has (pinned, given)."""

    new: Mapping[str, str] = field(default_factory=dict)
    changed: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def compare(pinned: Mapping[str, str], given: Mapping[str, str]) -> Comparison:
    """Hold what an upstream gives now to what was seen first.

    Versions that are gone are no change: an upstream may withdraw one, and its pin stays.
    What has no hash of a known kind cannot be pinned and is left out.
    """
    new, changed = {}, {}
    for version, text in given.items():
        hashes = _hashes(text)
        if not hashes:
            if version in pinned:
                changed[version] = (pinned[version], text)
            continue
        known = _hashes(pinned.get(version, ""))
        shared = known.keys() & hashes.keys()
        if known and (not shared or any(known[one] != hashes[one] for one in shared)):
            changed[version] = (pinned[version], _text(hashes))
        elif hashes.keys() - known.keys():
            new[version] = _text({**known, **hashes})
    return Comparison(new, changed)


def normal(text: str) -> str:
    """Return a pin in the one form that is kept. Raises ValueError where it has no hash."""
    if not (hashes := _hashes(text)):
        raise ValueError(f"no hash that can be pinned: {text[:100]!r}")
    return _text(hashes)


def _hashes(text: str) -> dict[str, Digest]:
    found = {}
    for word in text.split():
        word = word.partition("?")[0]
        if not _WORD.fullmatch(word):
            continue
        try:
            one = parse(word)
        except ValueError:
            continue
        found[one.algorithm] = one
    return found


def _text(hashes: Mapping[str, Digest]) -> str:
    return " ".join(hashes[name].sri for name in sorted(hashes, reverse=True))
