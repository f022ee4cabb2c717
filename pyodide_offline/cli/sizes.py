"""Sizes as people write them: 700000000, 700MB, 4000MiB."""

import click

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "KI": 1 << 10, "MI": 1 << 20, "GI": 1 << 30}


def parsed(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    """Return the bytes that an option's value means."""
    if value is None:
        return None
    text = value.strip().upper().removesuffix("B")
    digits = text.rstrip("KMGI")
    unit = text[len(digits) :]
    if not digits.strip().isdecimal() or unit not in _UNITS:
        raise click.BadParameter(f"{value!r} is no size; say 700MB or 4000MiB")
    return int(digits) * _UNITS[unit]
