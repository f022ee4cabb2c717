"""How an object store is reached, and as whom: from its URL, AWS's variables and AWS's files.

    s3://BUCKET/PREFIX?endpoint=https://HOST:PORT&region=REGION

The URL holds no secret, for it stands in logs and process lists. Keys come from
AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, else from the profile (AWS_PROFILE) in
~/.aws/credentials or the file that AWS_SHARED_CREDENTIALS_FILE names; endpoint and region
also from AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_REGION, AWS_DEFAULT_REGION and the profile
in ~/.aws/config. With an endpoint and no keys requests are not signed; with neither, the
machine's own role is asked for, as on EC2.
"""

import configparser
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from pyodide_offline.errors import SettingsError
from pyodide_offline.features.mirror import names

_BUCKET = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{1,254}")
_KNOWN = ("endpoint", "region")


@dataclass(frozen=True)
class Account:
    """A bucket, where it is, and the keys for it."""

    bucket: str
    prefix: str = ""
    endpoint: str = ""
    region: str = "us-east-1"
    key: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    ca: Path | None = None

    @property
    def label(self) -> str:
        """The store for logs."""
        where = f" at {self.endpoint}" if self.endpoint else ""
        return f"s3://{self.bucket}/{self.prefix}{where}"


def account(url: str, environ: Mapping[str, str]) -> Account:
    """Read a URL and what the environment adds to it. Raises SettingsError."""
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise SettingsError(
            "The URL of the mirror's store holds a login.",
            why="It would stand in logs and process lists.",
            next_step="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead.",
        )
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := [name for name in options if name not in _KNOWN]:
        raise SettingsError(
            f"The URL of the mirror's store has an option that is not known: {unknown[0]}.",
            next_step=f"Known are {' and '.join(_KNOWN)}.",
        )
    prefix = unquote(parts.path).strip("/")
    try:
        names.checked(prefix or "x")
    except ValueError as error:
        raise SettingsError(
            "The URL of the mirror's store has a prefix that cannot be used.",
            next_step="Name it in small letters, digits, '.', '-', '_' and '/'.",
        ) from error
    if not _BUCKET.fullmatch(parts.netloc):
        raise SettingsError(
            f"The URL of the mirror's store names no bucket: {url.split('?')[0]}",
            next_step="Write s3://BUCKET/PREFIX?endpoint=https://HOST:PORT",
        )
    profile = _profile(environ)
    endpoint = (
        options.get("endpoint")
        or environ.get("AWS_ENDPOINT_URL_S3")
        or environ.get("AWS_ENDPOINT_URL")
        or profile.get("endpoint_url", "")
    )
    _check_endpoint(endpoint)
    pair = environ if environ.get("AWS_ACCESS_KEY_ID") else _upper(profile)
    return Account(
        bucket=parts.netloc,
        prefix=prefix,
        endpoint=endpoint.rstrip("/"),
        region=options.get("region")
        or environ.get("AWS_REGION")
        or environ.get("AWS_DEFAULT_REGION")
        or profile.get("region", "us-east-1"),
        key=pair.get("AWS_ACCESS_KEY_ID", ""),
        secret=pair.get("AWS_SECRET_ACCESS_KEY", ""),
        token=pair.get("AWS_SESSION_TOKEN", ""),
        ca=Path(environ["AWS_CA_BUNDLE"]) if environ.get("AWS_CA_BUNDLE") else None,
    )


def _check_endpoint(endpoint: str) -> None:
    parts = urlsplit(endpoint)
    if endpoint and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise SettingsError("The endpoint of the mirror's store is not an http or https URL.")
    if "@" in parts.netloc:
        raise SettingsError("The endpoint of the mirror's store holds a login.")


def _profile(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what AWS's two files say for the profile; credentials go before config."""
    name = environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE") or "default"
    home = Path(environ.get("HOME") or environ.get("USERPROFILE") or "/nonexistent")
    config = environ.get("AWS_CONFIG_FILE") or home / ".aws" / "config"
    credentials = environ.get("AWS_SHARED_CREDENTIALS_FILE") or home / ".aws" / "credentials"
    found: dict[str, str] = {}
    for path, sections in (
        (Path(config), (name if name == "default" else f"profile {name}",)),
        (Path(credentials), (name,)),
    ):
        parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
        try:
            parser.read_string(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError, configparser.Error) as error:
            # Not the parser's words: they quote lines, and one may hold a key.
            raise SettingsError(f"The file {path} cannot be read as AWS's settings.") from error
        for section in sections:
            if parser.has_section(section):
                found |= {key: value for key, value in parser.items(section) if value}
    return found


def _upper(profile: Mapping[str, str]) -> dict[str, str]:
    return {name.upper(): value for name, value in profile.items()}
