"""What a worker project says of itself: its wrangler configuration."""

import datetime
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyodide_offline.errors import ProjectError

# wrangler's own order of preference (its `findWranglerConfig`).
CONFIG_NAMES = ("wrangler.json", "wrangler.jsonc", "wrangler.toml")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class Worker:
    """A project's worker: configuration file, entry module, compatibility date and flags."""

    config: Path
    main: str
    date: str
    flags: tuple[str, ...]

    @property
    def is_python(self) -> bool:
        """Whether the entry module is Python."""
        return self.main.endswith(".py")


def find_config(folder: Path) -> Path | None:
    """Return the nearest wrangler configuration, upward from the folder."""
    for place in (folder, *folder.parents):
        for name in CONFIG_NAMES:
            if (place / name).is_file():
                return place / name
    return None


def read(folder: Path, config: Path | None = None, environment: str | None = None) -> Worker:
    """Read the worker of a project. ``environment`` as in ``wrangler dev --env``.

    Raises ProjectError if there is no configuration or it cannot be used.
    """
    path = config or find_config(folder)
    if path is None:
        raise ProjectError(
            f"There is no wrangler configuration in {folder} or above it.",
            why="Looked for " + ", ".join(CONFIG_NAMES) + ".",
            next_step="Go to a worker's folder, or name it.",
        )
    return worker(path, parse(path), environment)


def is_packaged(worker: Worker) -> bool:
    """Say whether a pyproject.toml is beside the configuration, so that pywrangler has packages.

    Raises ProjectError for one that nobody can read, before anything is brought for it.
    """
    path = worker.config.parent / "pyproject.toml"
    if not path.is_file():
        return False
    parse(path)
    return True


def parse(path: Path) -> Mapping[str, Any]:
    """Read a configuration file. Raises ProjectError with the place of the fault."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ProjectError(f"Cannot read {path}: {reason}.") from error
    try:
        data = tomllib.loads(text) if path.suffix == ".toml" else _json(text)
    except ValueError as error:
        raise ProjectError(
            f"{path} is not valid {path.suffix.lstrip('.').upper()}.",
            why=f"{error}.",
            next_step="Mend the file; other programs cannot read it either.",
        ) from error
    if not isinstance(data, dict):
        raise ProjectError(f"{path} does not hold a table of settings.")
    return data


def worker(path: Path, data: Mapping[str, Any], environment: str | None = None) -> Worker:
    """Take the worker out of a parsed configuration. Raises ProjectError."""
    if environment:
        environments = data.get("env")
        if not isinstance(environments, dict) or not isinstance(
            environments.get(environment), dict
        ):
            known = ", ".join(environments) if isinstance(environments, dict) else ""
            raise ProjectError(
                f"{path.name} has no environment {environment!r}.",
                next_step=f"Name one that it has: {known}" if known else "It has none.",
            )
        data = {**data, **environments[environment]}
    main, date, flags = (
        data.get("main"),
        data.get("compatibility_date"),
        data.get("compatibility_flags", []),
    )
    if not isinstance(main, str):
        raise ProjectError(
            f"{path} names no entry module.", next_step='Add for example: main = "src/entry.py"'
        )
    if not isinstance(flags, list) or not all(isinstance(flag, str) for flag in flags):
        raise ProjectError(f"compatibility_flags in {path} is not a list of texts.")
    return Worker(path, main, _checked_date(path, date), tuple(flags))


def _checked_date(path: Path, value: object) -> str:
    # TOML has dates of its own, which wrangler refuses: only a text will do there.
    if not isinstance(value, str):
        raise ProjectError(
            f"{path} has no compatibility_date as a text.",
            why="It decides which Python a worker runs on.",
            next_step=f'Add: compatibility_date = "{datetime.date.today():%Y-%m-%d}"',
        )
    if not is_date(value):
        raise ProjectError(
            f"compatibility_date {value!r} in {path} is no date.",
            next_step="Write it as YYYY-MM-DD.",
        )
    return value


def is_date(value: str) -> bool:
    """Say whether a text is a day as workerd reads it: YYYY-MM-DD."""
    try:
        datetime.date.fromisoformat(value)
    except ValueError:
        return False
    return bool(_DATE.fullmatch(value))


def _json(text: str) -> object:
    import pyjson5

    try:
        parsed: object = pyjson5.loads(text)
    except pyjson5.Json5Exception as error:
        raise ValueError(_placed(str(error.args[0] if error.args else error), text)) from error
    return parsed


def _placed(said: str, text: str) -> str:
    """Return the parser's words with a line in place of a count of characters."""

    def line(match: re.Match[str]) -> str:
        return f"near line {text.count(chr(10), 0, int(match[1])) + 1}"

    return re.sub(r"\bb'(\w+)'", r"\1", re.sub(r"near (\d+)", line, said))
