"""Does a version lie in an npm range?

The range grammar is that of npm's semver (its README, "Ranges"): ``||`` joins sets, blanks
join comparators, a comparator is an operator and a partial version; ``^``, ``~``, x-ranges
and hyphen ranges are shorthand for two comparators. Versions with a pre-release lie in no
range here: nothing that is looked for comes as one.
"""

import re

Version = tuple[int, int, int]

_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?")
_PARTIAL = r"v?(\d+|[xX*])(?:\.(\d+|[xX*]))?(?:\.(\d+|[xX*]))?(?:-[0-9A-Za-z.-]+)?(?:\+\S+)?"
_COMPARATOR = re.compile(rf"(>=|<=|>|<|=|\^|~>?)?\s*{_PARTIAL}")
_HYPHEN = re.compile(rf"\s*({_PARTIAL})\s+-\s+({_PARTIAL})\s*")
_Bounds = tuple[Version, Version | None]  # from (inclusive) to (exclusive)


def parse(text: str) -> Version | None:
    """Read ``1.2.3`` or ``v1.2.3``; None for anything else, pre-releases too."""
    match = _VERSION.fullmatch(text.strip())
    if not match or match[4]:
        return None
    return int(match[1]), int(match[2]), int(match[3])


def satisfies(version: str, wanted: str) -> bool:
    """Say whether the version lies in the range; a range that cannot be read holds none."""
    found = parse(version)
    if found is None:
        return False
    try:
        return any(_in_set(found, part) for part in wanted.split("||"))
    except ValueError:
        return False


def minimum(wanted: str) -> str | None:
    """Return the version of a range that is only ``>=version``, else None."""
    match = re.fullmatch(r"\s*>=\s*v?(\d+(?:\.\d+){0,2})\s*", wanted)
    return match[1] if match else None


def _in_set(version: Version, text: str) -> bool:
    if hyphen := _HYPHEN.fullmatch(text):
        return version >= _span(_numbers(hyphen[1]))[0] and _below(
            version, _span(_numbers(hyphen[5]))[1]
        )
    rest = text.strip()
    while rest:
        match = _COMPARATOR.match(rest)
        if not match:
            raise ValueError(text)
        numbers = _numbers(rest[match.start(2) : match.end()].lstrip("v"))
        if not _compare(version, match[1] or "=", numbers):
            return False
        rest = rest[match.end() :].lstrip()
    return True


def _compare(version: Version, operator: str, numbers: list[int]) -> bool:
    low, high = _span(numbers)
    match operator:
        case ">=":
            return version >= low
        case "<":
            return version < low
        case ">":
            return not _below(version, high)
        case "<=":
            return _below(version, high)
        case "^":
            return version >= low and _below(version, _caret(numbers))
        case "~" | "~>":
            return version >= low and _below(version, _span(numbers[:2])[1])
        case _:
            return version >= low and _below(version, high)


def _numbers(partial: str) -> list[int]:
    """Return the numbers that are given, up to the first x."""
    numbers = []
    for part in re.split(r"[-+]", partial.lstrip("v"), maxsplit=1)[0].split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return numbers


def _span(numbers: list[int]) -> _Bounds:
    """Return the versions that a partial version stands for: ``1.2`` is 1.2.0 to 1.3.0."""
    if not numbers:
        return (0, 0, 0), None
    low = [*numbers, 0, 0][:3]
    high = [*numbers[:-1], numbers[-1] + 1, 0, 0][:3]
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def _caret(numbers: list[int]) -> Version | None:
    """Return the first version beyond ``^``: the leftmost number that is not 0 may not change."""
    for place, number in enumerate(numbers):
        if number:
            return _span(numbers[: place + 1])[1]
    return _span(numbers)[1]


def _below(version: Version, high: Version | None) -> bool:
    return high is None or version < high
