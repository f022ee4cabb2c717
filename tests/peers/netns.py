"""A network that leads nowhere and counts: run a command in it, learn what it sent.

Two network namespaces are joined by a veth pair. The command runs in the near one: it
has loopback, an address, a default route and a name server, so a program that wants out
does send something, and fails soon because the far end answers "unreachable". Every
packet that arrives at the far end is counted (ARP too: it is asked for only to send).
IPv6 is switched off, or the kernel's router solicitations would count.

The first of them are told with their bytes, so that a test that fails names what was asked.

Not seen: traffic over loopback, and sockets of the file system (nscd, D-Bus).

Standard library only: the file runs itself, as a script, in the far namespace.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# TEST-NET-2 of RFC 5737: no real network has it.
FAR, NEAR = "198.51.100.1", "198.51.100.2"
_SBIN = "/usr/sbin:/sbin"
_TOLD = 20  # packets whose bytes are told
_NO_IPV6 = "for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 1 >$f; done"

# Runs in the near namespace. $1 and $2 are pipes to and from the far end, $3 the
# resolv.conf to show, the rest is the command.
_NEAR_SCRIPT = f"""
set -e
up=$1 go=$2 resolv=$3
shift 3
echo made >&$up
read -r _ <&$go
{_NO_IPV6}
ip link set lo up
ip addr add {NEAR}/24 dev near
ip link set near up
ip route add default via {FAR}
mount --bind "$resolv" "$(readlink -f /etc/resolv.conf)"
echo ready >&$up
read -r _ <&$go
eval "exec $up>&- $go<&-"
exec "$@"
"""


@dataclass(frozen=True)
class Counted:
    """What a command left: exit status, output (both streams), packets sent to outside.

    ``sent`` has the first of these packets as text: printable bytes, dots for all others.
    """

    status: int
    output: str
    packets: int
    sent: tuple[str, ...] = ()


def run_counted(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 120,
) -> Counted:
    """Run a command in the counting network.

    Raises AssertionError, with the output so far, if the network cannot be made or the
    command does not end in ``timeout`` seconds.
    """
    environ = dict(os.environ if env is None else env)
    environ["PATH"] = f"{environ.get('PATH', os.defpath)}:{_SBIN}"
    with tempfile.TemporaryDirectory(prefix="netns-") as folder:
        report = Path(folder) / "report.json"
        log = Path(folder) / "output"
        me = [sys.executable, "-I", str(Path(__file__).resolve()), str(report)]
        with log.open("wb") as output:
            far = subprocess.Popen(
                [*unshare(), "--net", "--mount", *me, *command],
                env=environ,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            far.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(far.pid, signal.SIGKILL)
            far.wait()
            raise AssertionError(f"no end in {timeout:.0f} s:\n{_text(log)}") from None
        assert report.exists(), f"the network could not be made:\n{_text(log)}"
        told = json.loads(report.read_text(encoding="utf-8"))
        return Counted(told["status"], _text(log), told["packets"], tuple(told["sent"]))


def unshare() -> list[str]:
    """Return the start of a command that makes namespaces; root needs no user namespace."""
    return ["unshare"] if os.geteuid() == 0 else ["unshare", "--map-root-user"]


def why_not() -> str | None:
    """Return why this machine cannot make such a network, or None if it can."""
    try:
        run_counted(["true"], timeout=20)
    except (AssertionError, OSError) as error:
        return str(error)
    return None


def _text(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")


def _far_end(report: Path, command: Sequence[str]) -> None:
    """Make both ends, run the command in the near one, write the report."""
    shell("ip link add far type veth peer name near")
    shell(_NO_IPV6)
    shell(f"ip addr add {FAR}/24 dev far && ip link set far up")
    # What is sent through is answered "unreachable" at once, not dropped.
    shell("echo 1 >/proc/sys/net/ipv4/ip_forward && ip route add unreachable default")
    resolv = report.with_name("resolv.conf")
    resolv.write_text(f"nameserver {FAR}\noptions timeout:1 attempts:1\n", encoding="utf-8")

    from_near, up = os.pipe()
    go, to_near = os.pipe()
    script = ["sh", "-c", _NEAR_SCRIPT, "sh", str(up), str(go), str(resolv)]
    near = subprocess.Popen(["unshare", "--net", "--mount", *script, *command], pass_fds=(up, go))
    os.close(up)
    os.close(go)
    with os.fdopen(from_near) as lines:
        _expect(lines.readline(), "made")
        # The open file keeps the namespace, and so the counter, after the command's end.
        with Path(f"/proc/{near.pid}/ns/net").open("rb"), _listening() as wire:
            shell(f"ip link set near netns {near.pid}")
            os.write(to_near, b"go\n")
            _expect(lines.readline(), "ready")
            before = received()
            os.write(to_near, b"go\n")
            status = near.wait()
            packets = received() - before
            sent = _heard(wire)
    status = 128 - status if status < 0 else status
    told = {"status": status, "packets": packets, "sent": sent}
    report.write_text(json.dumps(told), encoding="utf-8")


def _listening() -> socket.socket:
    """Return a socket that gets what arrives at the far end."""
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
    wire.bind(("far", 0))
    wire.setblocking(False)
    return wire


def _heard(wire: socket.socket) -> list[str]:
    """Return the first packets that arrived; what this end answered is left out."""
    sent: list[str] = []
    while len(sent) < _TOLD:
        try:
            data, (_, _, direction, *_) = wire.recvfrom(2048)
        except BlockingIOError:
            break
        if direction != socket.PACKET_OUTGOING:
            sent.append("".join(chr(one) if 32 < one < 127 else "." for one in data))
    return sent


def _expect(line: str, word: str) -> None:
    if line.strip() != word:
        sys.exit(f"the near namespace said {line!r}, not {word!r}")


def shell(script: str) -> None:
    """Run a line of set-up in this namespace."""
    subprocess.run(["sh", "-ec", script], check=True, stdin=subprocess.DEVNULL)


def received() -> int:
    """Return how many packets have arrived at the far end."""
    for line in Path("/proc/net/dev").read_text(encoding="ascii").splitlines():
        name, _, counters = line.partition(":")
        if name.strip() == "far":
            return int(counters.split()[1])
    sys.exit("the far end is gone, and its counter with it")


if __name__ == "__main__":
    _far_end(Path(sys.argv[1]), sys.argv[2:])
