"""A client's machine without DNS and without a route, but for squid with a Digest login.

Two network namespaces, joined by a pair of interfaces. In the far one are squid, which
listens on that pair, and unbound, which listens on that namespace's own loopback: so the
client reaches the resolver through the proxy or not at all. The file runs itself, as a
script, in the far namespace.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.peers import proxies, resolvers
from tests.peers.authority import Authority
from tests.peers.netns import FAR, NEAR, shell, unshare

_NEAR_SCRIPT = f"""
read -r _
ip link set lo up
ip addr add {NEAR}/24 dev near
ip link set near up
mount --bind "$1" "$(readlink -f /etc/resolv.conf)"
shift
exec "$@" </dev/null
"""


@dataclass(frozen=True)
class Seen:
    """What a command there came to, and what squid wrote of it."""

    status: int
    output: str
    errors: str
    log: str


def play(command: Sequence[str], *, folder: Path, env: Mapping[str, str]) -> Seen:
    """Run a command in the near namespace.

    In its words PROXY, WRONG and RESOLVER stand for the proxy's URL with a right and a
    wrong password, and for the resolver's URL with its address. NODE_EXTRA_CA_CERTS names
    the authority. Needs root: squid becomes another user.
    """
    folder.mkdir()
    wanted = json.dumps({"command": list(command), "folder": str(folder)})
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [*unshare(), "--net", "--mount", sys.executable, "-m", __name__, wanted],
        cwd=folder,
        env={**env, "PYTHONPATH": str(root), "PATH": f"{env['PATH']}:/usr/sbin:/sbin"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return Seen(**json.loads((folder / "seen.json").read_text(encoding="utf-8")))


def _scene(command: Sequence[str], folder: Path) -> None:
    shell("ip link set lo up && ip link add far type veth peer name near")
    shell(f"ip addr add {FAR}/24 dev far && ip link set far up")
    nobody = folder / "resolv.conf"
    nobody.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n", encoding="utf-8")
    authority = Authority(folder / "ca", "dns.test")
    with (
        proxies.squid(login="digest", host=FAR) as proxy,
        resolvers.running("unbound", folder / "unbound", authority) as resolver,
    ):
        words = {
            "PROXY": proxy.with_login,
            "WRONG": proxy.login(proxies.USER, "wr0ng-h0rse"),
            "RESOLVER": resolver.url(),
        }
        near = subprocess.Popen(
            ["unshare", "--net", "--mount", "sh", "-ec", _NEAR_SCRIPT, "sh", str(nobody)]
            + [words.get(word, word) for word in command],
            env={**os.environ, "NODE_EXTRA_CA_CERTS": str(authority.ca)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        _moved(near.pid)
        output, errors = near.communicate("go\n", timeout=60)
        log = proxy.log.read_text(encoding="utf-8") if proxy.log.exists() else ""
    seen = {"status": near.returncode, "output": output, "errors": errors, "log": log}
    (folder / "seen.json").write_text(json.dumps(seen), encoding="utf-8")


def _moved(pid: int) -> None:
    """Give the near end to that process once it is in a namespace of its own."""
    mine = Path("/proc/self/ns/net").readlink()
    while Path(f"/proc/{pid}/ns/net").readlink() == mine:
        pass
    shell(f"ip link set near netns {pid}")


if __name__ == "__main__":
    _wanted = json.loads(sys.argv[1])
    _scene(_wanted["command"], Path(_wanted["folder"]))
