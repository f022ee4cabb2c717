"""Proxies that npm's and pip's own settings name, for where no variable names one.

- npm: ``https-proxy`` and ``proxy``, each for the other where it is alone, as npm's own
  requests have it; ``null`` and ``false`` mean none; ``noproxy`` takes targets out of these
  two. Variables, then the project's .npmrc, the user's, the machine's (see ``npmfile``).
- pip: ``proxy`` of [install], else of [global]; PIP_PROXY first, then PIP_CONFIG_FILE's file,
  the virtual environment's, the user's, the machine's (pip's documentation, "Configuration").

Files that cannot be read are left out: they belong to other programs, which will complain.
"""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyodide_offline import npmfile
from pyodide_offline.network.proxies import Borrowed

_OFF = ("", "null", "false", "undefined")
_NPM_KEYS = {"https": ("https-proxy", "proxy"), "http": ("proxy", "https-proxy")}


@dataclass(frozen=True)
class Text:
    """A file's content and its path."""

    path: str
    content: str


def read(environ: Mapping[str, str], project: Path) -> Sequence[Borrowed]:
    """Return what the files and variables of this user name. Small files, no program asked."""
    npm = texts(npm_files(environ, project))
    pip = [] if environ.get("PIP_CONFIG_FILE") == os.devnull else texts(pip_files(environ))
    return [*of_npm(environ, npm), *of_pip(environ, pip)]


def of_npm(environ: Mapping[str, str], files: Sequence[Text]) -> list[Borrowed]:
    """Return npm's proxies, one a target's scheme. ``files``: the strongest first."""
    found: dict[str, tuple[str, str]] = {}
    for file in reversed(files):
        found |= {
            key: (value, f"{key} in {file.path}")
            for key, value in npmfile.parse(file.content, environ)
        }
    found |= {key: (value, name) for key, value, name in npmfile.variables(environ)}
    no_proxy = found.get("noproxy", ("", ""))[0]
    named = []
    for scheme, keys in _NPM_KEYS.items():
        for key in keys:
            value, origin = found.get(key, ("", ""))
            # npm, too, leaves out one that is no address because its variable is not set.
            if value.strip().lower() not in _OFF and not npmfile.VARIABLE.search(value):
                named.append(Borrowed(value, origin, scheme, no_proxy))
                break
    return named


def of_pip(environ: Mapping[str, str], files: Sequence[Text]) -> list[Borrowed]:
    """Return pip's proxy, for targets of every scheme. ``files``: the strongest first."""
    if value := environ.get("PIP_PROXY", "").strip():
        return [Borrowed(value, "PIP_PROXY")]
    for section in ("install", "global"):
        for file in files:
            if value := option(file.content, section, "proxy"):
                return [Borrowed(value, f"{section}.proxy in {file.path}")]
    return []


def npm_files(environ: Mapping[str, str], project: Path) -> list[Path]:
    """Return where npm's settings may be, the strongest first."""
    told = {key: value for key, value, _ in npmfile.variables(environ)}
    home = _home(environ)
    files = [npmfile.project_root(project) / ".npmrc"]
    files += [Path(told["userconfig"])] if "userconfig" in told else _below(home, ".npmrc")
    if machine := npm_global(environ):
        files.append(machine)
    return list(dict.fromkeys(files))


def npm_global(environ: Mapping[str, str]) -> Path | None:
    """Return where npm's settings for all users may be, None where nothing tells."""
    told = {key: value for key, value, _ in npmfile.variables(environ)}
    if "globalconfig" in told:
        return Path(told["globalconfig"])
    if "prefix" in told:
        return Path(told["prefix"]) / "etc" / "npmrc"
    if node := _node(environ):  # npm's prefix is where its Node lies
        return node.parent.parent / "etc" / "npmrc"
    return None


def pip_files(environ: Mapping[str, str]) -> list[Path]:
    """Return where pip's settings may be, the strongest first."""
    name = "pip.ini" if sys.platform == "win32" else "pip.conf"
    home, named = _home(environ), environ.get("PIP_CONFIG_FILE", "")
    files = [Path(named)] if named else []
    files.append(Path(sys.prefix) / name)
    if not (named and Path(named).is_file()):  # pip reads one of the two
        files += _users_pip_files(environ, home, name)
    if sys.platform == "win32":
        files += _below(environ.get("PROGRAMDATA", ""), f"pip/{name}")
    elif sys.platform == "darwin":
        files.append(Path("/Library/Application Support/pip", name))
    else:
        folders = environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
        files.append(Path("/etc", name))
        files += [Path(one, "pip", name) for one in folders.split(os.pathsep) if one]
    return files


def _users_pip_files(environ: Mapping[str, str], home: str, name: str) -> list[Path]:
    legacy = _below(home, f"{'pip' if sys.platform == 'win32' else '.pip'}/{name}")
    if sys.platform == "win32":
        return [*_below(environ.get("APPDATA", ""), f"pip/{name}"), *legacy]
    if sys.platform == "darwin":
        mine = _below(home, f"Library/Application Support/pip/{name}")
        return [*mine, *_below(home, f".config/pip/{name}"), *legacy]
    if configured := environ.get("XDG_CONFIG_HOME"):
        return [Path(configured, "pip", name), *legacy]
    return [*_below(home, f".config/pip/{name}"), *legacy]


def texts(files: Sequence[Path]) -> list[Text]:
    """Return the files that are there and can be read."""
    return list(_readable(files))


def _readable(files: Sequence[Path]) -> Iterator[Text]:
    for file in files:
        try:
            yield Text(str(file), file.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue


def option(content: str, section: str, option: str) -> str:
    """Return an option of a pip.conf, "" if it has none or cannot be read."""
    import configparser

    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(content)
    except configparser.Error:
        return ""
    return parser.get(section, option, fallback="").strip()


def _node(environ: Mapping[str, str]) -> Path | None:
    for folder in environ.get("PATH", "").split(os.pathsep):
        program = Path(folder, "node")
        if folder and program.is_file():
            return program.resolve()
    return None


def _home(environ: Mapping[str, str]) -> str:
    return environ.get("HOME") or environ.get("USERPROFILE") or ""


def _below(folder: str, name: str) -> list[Path]:
    return [Path(folder, name)] if folder else []
