"""Settings from files: `[tool.pyodide-offline]` in pyproject.toml, then the user's config.toml.

Options come first, then PYODIDE_OFFLINE_* variables (click reads both), then these.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pyodide_offline.errors import SettingsError

# Option name in a file → type of its value. Not in here: what belongs to one call only.
KNOWN = {
    "cache-dir": str,
    "store-dir": str,
    "offline": bool,
    "bundle": str,
    "python": str,
    "wrangler": str,
    "resolver": str,
    "proxy": str,
    "pac": str,
    "ca": str,
    "mirror": str,
    "quiet": bool,
}
# Commands of commands that take any of these. A test compares the list with the program.
_NESTED = (
    "accept apply audit browser build diff export import install list pack path prune revert "
    "rewrite rollback run serve status sync unpack verify"
)
CONFIG_VARIABLE = "PYODIDE_OFFLINE_CONFIG"


def defaults(commands: Iterable[str]) -> dict[str, Any]:
    """Return click's default map: the same settings for each command and its own commands."""
    values = {name.replace("-", "_"): value for name, value in load(Path.cwd()).items()}
    for setting, option in {"resolver": "resolver", "proxy": "proxies"}.items():
        if setting in values:  # an option that may be repeated
            values[option] = values.pop(setting).split()
    if "ca" in values:
        values["ca"] = [one for one in values["ca"].split(os.pathsep) if one]
    # A mirror is no client of the one that the setting names.
    own = {name: value for name, value in values.items() if name != "mirror"}
    nested = dict.fromkeys(_NESTED.split(), own)
    return {name: {**values, **nested} for name in commands}


def load(folder: Path) -> dict[str, Any]:
    """Return the settings that hold in a folder. Raises SettingsError."""
    settings = _user_file()
    for place in (folder, *folder.parents):
        pyproject = place / "pyproject.toml"
        if pyproject.is_file():
            text = _read(pyproject)
            # Parsing costs milliseconds, and most files have no such table.
            if "pyodide-offline" in text:
                table = _parse(pyproject, text).get("tool", {}).get("pyodide-offline", {})
                settings.update(_checked(pyproject, table))
            break
    return settings


def user_file() -> Path:
    """Return where the user's own config file is, whether it exists or not."""
    if named := os.environ.get(CONFIG_VARIABLE):
        return Path(named).expanduser()
    from platformdirs import user_config_path

    return user_config_path("pyodide-offline", appauthor=False) / "config.toml"


def _user_file() -> dict[str, Any]:
    path = user_file()
    try:
        if not path.is_file():
            return {}
    except PermissionError:  # HOME is still another user's, as after setpriv or su
        return {}
    return _checked(path, _parse(path, _read(path)))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"Cannot read {path}: {error}.") from error


def _parse(path: Path, text: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML.", why=f"{error}.") from error


def _checked(path: Path, table: object) -> dict[str, Any]:
    if not isinstance(table, Mapping):
        raise SettingsError(f"The settings of pyodide-offline in {path} are not a table.")
    for name, value in table.items():
        if name not in KNOWN:
            raise SettingsError(
                f"{path} has a setting {name!r}, which pyodide-offline does not know.",
                next_step="Known are: " + ", ".join(KNOWN),
            )
        if not isinstance(value, KNOWN[name]):
            wanted = "true or false" if KNOWN[name] is bool else "a text"
            raise SettingsError(f"{name} in {path} must be {wanted}.")
    settings = dict(table)
    # Paths are beside the file that names them, whoever reads it from where.
    for name in {"ca", "cache-dir", "store-dir"} & settings.keys():
        parts = [Path(one).expanduser() for one in settings[name].split(os.pathsep) if one]
        settings[name] = os.pathsep.join(str(path.parent / one) for one in parts)
    return settings
