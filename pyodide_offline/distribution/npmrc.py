"""npm's configuration, as far as fetching a package needs it.

The rules, from npm's documentation (config, npmrc, registry) and seen on npm 11:

- Sources, first wins: npm_config_* variables, the project's .npmrc, the user's, the global.
- Files and variables are read as ``npmfile`` has it.
- Logins belong to a registry: ``//host/path/:_authToken``, or ``:_auth``, or ``:username``
  with ``:_password`` (base64). The longest path that the registry's URL begins with wins.
"""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from pyodide_offline import npmfile, process
from pyodide_offline.errors import RegistryError, ToolchainError


@dataclass(frozen=True)
class Setting:
    """A value and where it is written: a file's path, or a variable's name."""

    value: str
    source: str


@dataclass(frozen=True)
class Login:
    """What proves to a registry who asks. ``key`` and ``source`` say where it is written.

    ``authorization`` is the header's value, empty if what is written cannot be used;
    ``problem`` says why.
    """

    key: str
    source: str
    authorization: str = field(default="", repr=False)
    problem: str = ""


@dataclass(frozen=True)
class Config:
    """npm's settings for one project. ``sources`` are all places that were looked at."""

    settings: Mapping[str, Setting]
    sources: Sequence[str]

    def get(self, key: str) -> str | None:
        """Return a setting's value, None if it is not set or empty."""
        found = self.settings.get(key)
        return found.value if found and found.value else None

    def registry(self, package: str) -> str:
        """Return the URL of the registry for a package, ending in a slash, with no login.

        A scope's own registry goes first. Raises RegistryError.
        """
        scope = package.partition("/")[0] if package.startswith("@") else None
        key = f"{scope}:registry" if scope and self.get(f"{scope}:registry") else "registry"
        url = self.get(key)
        if url is None:
            raise RegistryError(
                f"No npm registry is known to take {package} from.",
                why="Neither npm nor a .npmrc nor a variable names one.",
                next_step="Install npm, or: export npm_config_registry=https://your.registry/",
            )
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise RegistryError(
                f"The npm registry in {self.settings[key].source} is not an http(s) address.",
                next_step=f"Correct the line {key}=…",
            )
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, host, parts.path.rstrip("/") + "/", "", ""))

    def login(self, registry: str) -> Login | None:
        """Return the login for a registry's URL, None if none is written anywhere."""
        for prefix in _prefixes(registry):
            if found := self._login_under(prefix):
                return found
        return self._login_in_url(registry)

    def misplaced_login(self) -> Setting | None:
        """Return a login that names no registry, which npm no longer sends (since 9)."""
        for key in ("_authToken", "_auth", "_password"):
            if key in self.settings:
                return self.settings[key]
        return None

    def _login_under(self, prefix: str) -> Login | None:
        token = self.settings.get(f"{prefix}:_authToken")
        if token and token.value:
            return _usable(f"{prefix}:_authToken", token, f"Bearer {token.value}")
        user = self.settings.get(f"{prefix}:username")
        password = self.settings.get(f"{prefix}:_password")
        if user and password and user.value and password.value:
            key = f"{prefix}:_password"
            try:
                plain = base64.b64decode(password.value, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                return _usable(key, password, "")
            return _usable(key, password, _basic(f"{user.value}:{plain}"))
        pair = self.settings.get(f"{prefix}:_auth")
        if pair and pair.value:
            return _usable(f"{prefix}:_auth", pair, f"Basic {pair.value}")
        return None

    def _login_in_url(self, registry: str) -> Login | None:
        setting = self.settings.get("registry")
        parts = urlsplit(setting.value) if setting else None
        if not setting or not parts or not parts.username:
            return None
        if parts.hostname != urlsplit(registry).hostname:
            return None
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        return Login("registry", setting.source, _basic(pair))


def load(environ: Mapping[str, str], project: Path, npm: Sequence[str] | None) -> Config:
    """Read npm's configuration for a project, npm itself being asked for its defaults."""
    root = npmfile.project_root(project)
    variables = {
        key: Setting(value, f"the variable {name}")
        for key, value, name in npmfile.variables(environ)
    }
    told = _ask_npm(environ, root, npm) if npm else {}
    user = _path(variables, told, "userconfig") or _home(environ) / ".npmrc"
    machine = _path(variables, told, "globalconfig")
    if machine is None and (prefix := _path(variables, told, "prefix")):
        machine = prefix / "etc" / "npmrc"
    files = [root / ".npmrc", user, *([machine] if machine else [])]

    layers = [variables]
    for file in dict.fromkeys(files):
        layers.append(dict(_read(file, environ)))
    merged: dict[str, Setting] = {key: Setting(v, "npm") for key, v in told.items()}
    for layer in reversed(layers):
        merged |= layer
    return Config(merged, [str(file) for file in dict.fromkeys(files)])


def _usable(key: str, setting: Setting, authorization: str) -> Login:
    """Return the login, or what is wrong with it: a variable that is not set, odd bytes."""
    if unset := npmfile.VARIABLE.search(setting.value):
        return Login(key, setting.source, problem=f"uses ${{{unset['name']}}}, which is not set")
    if not authorization:
        return Login(key, setting.source, problem="is not base64")
    if not (authorization.isascii() and authorization.isprintable()):
        return Login(key, setting.source, problem="has characters that no header can carry")
    return Login(key, setting.source, authorization)


def _basic(pair: str) -> str:
    """RFC 7617 §2."""
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _prefixes(url: str) -> Iterator[str]:
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    while True:
        yield f"//{parts.netloc}{path}/"
        yield f"//{parts.netloc}{path}"
        if not path:
            return
        path = path.rpartition("/")[0]


def _read(file: Path, environ: Mapping[str, str]) -> Iterator[tuple[str, Setting]]:
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return  # npm, too, goes on without a file that it cannot read
    for key, value in npmfile.parse(text, environ):
        yield key, Setting(value, str(file))


def _home(environ: Mapping[str, str]) -> Path:
    named = environ.get("HOME") or environ.get("USERPROFILE")
    return Path(named) if named else Path.home()


def _path(variables: Mapping[str, Setting], told: Mapping[str, str], key: str) -> Path | None:
    found = variables[key].value if key in variables else told.get(key)
    return Path(found).expanduser() if found else None


def _ask_npm(environ: Mapping[str, str], root: Path, npm: Sequence[str]) -> dict[str, str]:
    quiet = {**environ, "npm_config_update_notifier": "false", "npm_config_loglevel": "silent"}
    try:
        done = process.capture([*npm, "config", "list", "--json"], env=quiet, cwd=root, timeout=30)
        told = json.loads(done.stdout) if done.status == 0 else {}
    except (ToolchainError, ValueError):
        return {}
    wanted = ("registry", "cafile", "userconfig", "globalconfig", "prefix")
    return {
        key: told[key]
        for key in wanted
        if isinstance(told, dict) and isinstance(told.get(key), str)
    }
