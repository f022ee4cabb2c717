"""A scene for `doctor`: a network, a machine and a project, as namespaces on this machine.

``play`` takes one scene of tests/scenes/*.yaml (README.md there says what may be in it),
makes its network and mount namespaces, starts its name server, sites and proxy on addresses
of the loopback interface, and runs `pyodide-offline doctor --json` in it. What is sent to
addresses that the scene does not have is counted. The file runs itself, as a script, in the
namespaces.
"""

import json
import os
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import certifi

from tests.peers import outside, proxies
from tests.peers.netns import shell, unshare

# RFC 5737's networks for examples: the far world, and the company's own.
OFFICIAL, NPM, PYPI = "203.0.113.10", "203.0.113.20", "203.0.113.30"
MIRROR = "203.0.113.40"
DNS, PROXY = "198.51.100.53", "198.51.100.80"
PROXY_PORT = 3128
HOST = "pyodide-capnp-bin.edgeworker.net"
SITES: Mapping[str, tuple[str, str]] = {
    "official": (HOST, OFFICIAL),
    "npm": ("npm.test", NPM),
    "pypi": ("pypi.test", PYPI),
    "mirror": ("mirror.test", MIRROR),
}
_ADDRESSES = (OFFICIAL, NPM, PYPI, MIRROR, DNS, PROXY)
_NO_IPV6 = "for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 1 >$f; done"
DEADLINE = 60.0  # seconds for a doctor that does not keep to its own ten


@dataclass(frozen=True)
class Seen:
    """The document, the exit status, seconds it took, packets sent to nowhere, all output."""

    document: Mapping[str, Any]
    status: int
    seconds: float
    packets: int
    output: str
    asked: Sequence[str]

    def ids(self, *states: str) -> set[str]:
        """Return the ids of the findings in these states."""
        return {one["id"] for one in self.document["findings"] if one["state"] in states}


def play(scene: Mapping[str, Any], folder: Path, authorities: Path, program: str) -> Seen:
    """Play a scene. ``folder`` is its own, ``authorities`` come from ``outside.authorities``."""
    for name in ("home", "project", "store", "cache"):
        (folder / name).mkdir(parents=True)
    wanted = {**scene, "folder": str(folder), "authorities": str(authorities), "program": program}
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [*unshare(), "--net", "--mount", sys.executable, "-m", __name__, json.dumps(wanted)],
        cwd=folder / "project",
        env={"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", "PYTHONPATH": str(root)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE + 60,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return Seen(**json.loads((folder / "seen.json").read_text(encoding="utf-8")))


def _scene(scene: dict[str, Any]) -> None:
    folder, authorities = Path(scene["folder"]), Path(scene["authorities"])
    network = scene.get("network") or {}
    _prepare(network, folder, authorities)
    world = outside.World(network, SITES, authorities)
    world.open(dns=DNS, proxy=(PROXY, PROXY_PORT))
    words = {
        "folder": str(folder), "home": str(folder / "home"), "project": str(folder / "project"),
        "store": str(folder / "store"), "cache": str(folder / "cache"),
        "proxy": f"{PROXY}:{PROXY_PORT}", "python": sys.executable,
        "root": str(Path(__file__).resolve().parents[2]),
        **{f"{name}_ca": str(authorities / f"{name}.pem") for name in outside.AUTHORITIES},
    }  # fmt: skip
    with ExitStack() as stack:
        box = network.get("proxy") or {}
        if "program" in box:
            real = stack.enter_context(_real_proxy(box))
            words["proxy"] = real.url.partition("://")[2]
            words["proxy_login"] = real.with_login.partition("://")[2]
        environ = _environ(scene, words)
        _furnish(scene, folder, environ, words, stack)
        seen = _examine(scene, folder, environ, [_filled(one, words) for one in _arguments(scene)])
    (folder / "seen.json").write_text(json.dumps({**seen, "asked": world.asked}), encoding="utf-8")


def _real_proxy(box: Mapping[str, Any]) -> AbstractContextManager[proxies.Proxy]:
    if box["program"] == "squid":
        return proxies.squid(login=box.get("login", ""))
    return proxies.tinyproxy(login=bool(box.get("login")))


def _furnish(
    scene: Mapping[str, Any],
    folder: Path,
    environ: Mapping[str, str],
    words: Mapping[str, str],
    stack: ExitStack,
) -> None:
    """Write the scene's files, start its programs, run its lines."""
    for name, content in (scene.get("files") or {}).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_filled(content, words), encoding="utf-8")
    for line in scene.get("background") or []:
        command = ["sh", "-ec", _filled(line, words)]
        child = subprocess.Popen(command, cwd=folder / "project", env=environ)
        stack.callback(child.wait)
        stack.callback(child.kill)
    for line in scene.get("before") or []:
        command = ["sh", "-ec", _filled(line, words)]
        subprocess.run(command, cwd=folder / "project", env=environ, check=True)


def _arguments(scene: Mapping[str, Any]) -> list[str]:
    return [str(one) for one in scene.get("arguments") or []]


def _prepare(network: Mapping[str, Any], folder: Path, authorities: Path) -> None:
    """Make addresses, routes, hosts file, name server's address and the system's CAs."""
    shell("ip link set lo up")
    for address in _ADDRESSES:
        shell(f"ip addr add {address}/32 dev lo")
    # What leaves by this device is counted, and answered by nobody.
    shell("ip link add out type veth peer name nowhere")
    if not network.get("ipv6"):
        shell(_NO_IPV6)
    shell("ip link set out arp off && ip link set out up && ip link set nowhere up")
    if network.get("beyond", "unreachable") == "silent":
        shell("ip addr add 192.0.2.1/24 dev out && ip route add default dev out")
    if network.get("ipv6") == "silent":
        shell("ip -6 addr add 2001:db8:f::1/64 dev out nodad && ip -6 route add default dev out")
    hosts = ["127.0.0.1 localhost", *(network.get("hosts") or [])]
    (folder / "hosts").write_text("\n".join([*hosts, ""]), encoding="utf-8")
    resolv = f"nameserver {DNS}\noptions timeout:1 attempts:1\n"
    if network.get("dns", "answers") == "absent":
        resolv = "# no name server\n"
    (folder / "resolv.conf").write_text(resolv, encoding="utf-8")
    bound = {"/etc/hosts": folder / "hosts", "/etc/resolv.conf": folder / "resolv.conf"}
    roots = Path(ssl.get_default_verify_paths().openssl_cafile).resolve()
    bound[certifi.where()] = authorities / "public.pem"
    if roots.is_file():
        bound[str(roots)] = authorities / f"{network.get('system', 'public')}.pem"
    for place, file in bound.items():
        target = Path(place).resolve()
        shell(f"mount --bind '{file}' '{target}'")


def _environ(scene: Mapping[str, Any], words: Mapping[str, str]) -> dict[str, str]:
    home, folder = words["home"], words["folder"]
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": home,
        "TMPDIR": folder,
        "LANG": "C.UTF-8",
        "NO_COLOR": "1",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": "https://pypi.test/simple",
        "npm_config_globalconfig": os.devnull,
        "npm_config_registry": "https://npm.test/",
        "PYODIDE_OFFLINE_STORE_DIR": words["store"],
        "PYODIDE_OFFLINE_CACHE_DIR": words["cache"],
        "PYODIDE_OFFLINE_RESOLVER": f"https://dns.test/dns-query#{DNS}",
    }
    for name, value in (scene.get("environ") or {}).items():
        if value is None:
            environ.pop(name, None)
        else:
            environ[name] = _filled(str(value), words)
    return environ


def _filled(text: str, words: Mapping[str, str]) -> str:
    """Put the scene's places into a text: {home}, {proxy}, {public_ca} …"""
    for name, value in words.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _examine(
    scene: Mapping[str, Any], folder: Path, environ: Mapping[str, str], arguments: Sequence[str]
) -> dict[str, Any]:
    before, began = _sent(), time.monotonic()
    done = subprocess.run(
        [scene["program"], "doctor", "--json", *arguments],
        cwd=folder / "project",
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE,
        check=False,
    )
    seconds = time.monotonic() - began
    try:
        document = json.loads(done.stdout)
    except ValueError:
        sys.exit(f"no document: {done.stdout}\n{done.stderr}")
    return {
        "document": document, "status": done.returncode, "seconds": seconds,
        "packets": _sent() - before, "output": done.stdout + done.stderr,
    }  # fmt: skip


def _sent() -> int:
    """Return the device's counter (/sys shows that of the first namespace)."""
    told = subprocess.run(
        [shutil.which("ip", path="/usr/sbin:/sbin:/usr/bin:/bin") or "ip", "-s", "-j", "link",
         "show", "out"],
        capture_output=True, check=True,
    )  # fmt: skip
    return int(json.loads(told.stdout)[0]["stats64"]["tx"]["packets"])


if __name__ == "__main__":
    _scene(json.loads(sys.argv[1]))
