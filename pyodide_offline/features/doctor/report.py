"""What is told to others: a text for who runs the network, an archive for a bug report.

Both are made of the document that ``--json`` prints, with every secret of this machine
taken out (``secrets``).
"""

import io
import json
import platform
import sys
import tarfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pyodide_offline import disk
from pyodide_offline.features.doctor import places, secrets
from pyodide_offline.session import Session

# Check → what its host is for, which files come from it, how large they are.
_NEEDS = {
    "route.official": (
        "the Python runtime of Cloudflare's workerd",
        ".capnp.bin (application/octet-stream)",
        "about 14 MB",
    ),
    "registry.npm": (
        "npm packages: wrangler, workerd, pyodide",
        ".tgz, and JSON",
        "up to about 50 MB",
    ),
    "registry.pypi": ("Python packages", ".whl, and HTML or JSON", "up to about 50 MB"),
}
# Whose variables tell how programs reach the network and find each other.
_PREFIXES = (
    "http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_", "node_", "npm_config_", "pip_",
    "uv_", "pyodide_offline_", "wrangler_", "cloudflare_", "miniflare_", "requests_", "curl_",
    "path", "lang", "ci",
)  # fmt: skip


def for_network(document: Mapping[str, Any], now: datetime) -> str:
    """Return the text for who runs the network: what is needed, what was refused, by whom."""
    findings = {one["id"]: one for one in document["findings"]}
    bad = [one for one in document["findings"] if one["state"] in ("fail", "timeout", "warn")]
    network = [one for one in bad if one["blame"] not in (None, "toolchain", "cache")]
    lines = [
        f"Network report by pyodide-offline {document['program']['version']}",
        f"made {now:%Y-%m-%d %H:%M:%S} UTC on {platform.system()} {platform.machine()}",
        "",
        f"In one line: {document['verdict']['sentence']}",
        "",
        "1. What a developer needs from the network",
        "",
        "TCP with TLS from this machine, HTTP method GET only; nothing is sent but the request.",
        "Through a proxy: CONNECT to these hosts and ports.",
        "",
        *_needed(findings),
        "",
        "2. What was refused or broken, by whom, and when",
        "",
        *(line for one in network for line in _told(one, now)),
        *([] if network else ["Nothing in the network.", ""]),
        "3. Certificates and proxies that were seen",
        "",
        *_seen(findings),
        "",
        "4. What is asked for",
        "",
        *(f"- {line}" for line in _wishes(network)),
    ]
    return "\n".join(lines) + "\n"


def _needed(findings: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lines = []
    for check, (purpose, files, size) in _NEEDS.items():
        evidence = findings.get(check, {}).get("evidence", {})
        url = str(evidence.get("url", ""))
        if check == "route.official":
            wanted = findings.get("bundle.wanted", {}).get("evidence", {}).get("url")
            host = evidence.get("host") or urlsplit(str(wanted or places.KNOWN)).hostname
        else:
            host = urlsplit(url).hostname
        if not host:
            continue
        parts = urlsplit(url)
        port = parts.port or (80 if parts.scheme == "http" else 443)
        lines += [f"{host}, port {port}", f"    for {purpose}", f"    files: {files}; {size}"]
    return lines


def _told(finding: Mapping[str, Any], now: datetime) -> list[str]:
    head = f"[{finding['id']}] {finding['summary']}"
    lines = [head, f"    seen {now:%H:%M:%S} UTC; kind of fault: {finding['blame']}"]
    if finding["cause"]:
        lines.append(f"    {finding['cause']}")
    lines += [f"    {name}: {_shown(value)}" for name, value in finding["evidence"].items()]
    return [*lines, ""]


def _seen(findings: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lines = []
    for name, one in findings.items():
        if name.partition(".")[0] in ("trust", "proxy") and one["state"] != "skip":
            lines.append(f"{one['state'].upper():8}{name}: {one['summary']}")
            lines += [f"        {key}: {_shown(value)}" for key, value in one["evidence"].items()]
    return lines or ["None."]


def _wishes(network: Sequence[Mapping[str, Any]]) -> list[str]:
    wishes = [one["fix"] for one in network if one["blame"] == "proxy-policy" and one["fix"]]
    if any(one["blame"] == "interception" for one in network):
        wishes.append("The CA certificate of the box that opens TLS, as a PEM file.")
    if any(one["blame"] == "proxy-auth" for one in network):
        wishes.append("A login for the proxy, or leave to go without one to these hosts.")
    if not wishes and network:
        wishes.append("That the hosts of part 1 are reached from this machine.")
    return list(dict.fromkeys(wishes)) or ["Nothing: what was looked at works."]


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def write_for_network(session: Session, document: Mapping[str, Any], file: Path) -> None:
    """Write the text for who runs the network. Raises StorageError."""
    text = for_network(document, datetime.now(UTC))
    disk.write_whole(file, _scrubber(session)(text).encode(), mode=0o600)


def write_archive(session: Session, document: Mapping[str, Any], file: Path) -> None:
    """Write the archive (.tar.gz) for a bug report. Raises StorageError."""
    now = datetime.now(UTC)
    # Text by text: what is taken out of a line of JSON could take its quotes along.
    scrub = _scrubber(session)
    told = _each_text(document, scrub)
    texts = {
        "doctor.json": json.dumps(told, indent=1, ensure_ascii=False) + "\n",
        "network.txt": for_network(document, now),
        "machine.txt": _machine(),
        "environment.txt": _environment(session.environ),
        "store.txt": "".join(
            f"{one.kind} {one.name} {one.digest} {one.size}\n" for one in session.store.entries()
        ),
    }
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as tar:
        for name, text in texts.items():
            data = (text if name.endswith(".json") else scrub(text)).encode()
            member = tarfile.TarInfo(f"pyodide-offline-report/{name}")
            member.size, member.mtime, member.mode = len(data), int(now.timestamp()), 0o644
            tar.addfile(member, io.BytesIO(data))
    disk.write_whole(file, held.getvalue(), mode=0o600)


def _each_text(value: object, change: Callable[[str], str]) -> object:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _each_text(one, change) for key, one in value.items()}
    return [_each_text(one, change) for one in value] if isinstance(value, list) else value


def _scrubber(session: Session) -> Callable[[str], str]:
    hidden = secrets.known(session.environ, session.project)
    home = session.environ.get("HOME", "")
    return lambda text: secrets.scrub(text, hidden, home)


def _machine() -> str:
    libc = " ".join(platform.libc_ver()).strip()
    return (
        f"{platform.platform()}\n{platform.machine()}\nPython {platform.python_version()} "
        f"({sys.implementation.name})\n{libc}\n"
    )


def _environment(environ: Mapping[str, str]) -> str:
    kept = sorted(name for name in environ if name.lower().startswith(_PREFIXES))
    return "".join(f"{name}={environ[name]}\n" for name in kept)
