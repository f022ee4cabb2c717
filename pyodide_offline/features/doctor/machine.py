"""This machine: ports, what earlier runs have left, namespaces, what kind of machine it is."""

import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from pyodide_offline import process
from pyodide_offline.features.doctor import places
from pyodide_offline.features.doctor.check import Check
from pyodide_offline.features.doctor.finding import Finding, failed, passed, skipped, warned
from pyodide_offline.features.doctor.observed import Observed
from pyodide_offline.network import hosts
from pyodide_offline.network import ports as holders

_DEV, _TLS = 8787, 443  # wrangler dev's default; the port that workerd asks
# Files that containers have: Docker's, Podman's.
_CONTAINERS = {"/.dockerenv": "Docker", "/run/.containerenv": "Podman"}


def ports(_: Observed) -> Finding:
    """See who listens on the ports that a dev server and a tunnel want."""
    if sys.platform != "linux":
        return skipped("Who holds a port is only looked up on Linux.")
    held = {port: who for port in (_TLS, _DEV) if (who := holders.holder(port))}
    evidence: dict[str, Any] = {str(port): who for port, who in held.items()}
    if _DEV in held:
        return warned(
            f"Port {_DEV}, wrangler dev's own, is held by {held[_DEV]}.",
            "wrangler dev takes another one, or ends, if it was told to use this one.",
            f"pyodide-offline run -- pywrangler dev --port {_DEV + 1}",
            **evidence,
        )
    if _TLS in held:
        return passed(f"Port {_TLS} is held by {held[_TLS]}: no tunnel there.", **evidence)
    return passed(f"Nobody is seen to hold the ports {_TLS} and {_DEV}.")


def hosts_lines(observed: Observed) -> Finding:
    """Look for lines in the hosts file that lead the bundle's host astray."""
    file = hosts.path(observed.environ)
    evidence = {"file": str(file)}
    if left := hosts.left_behind(file):
        pids = ", ".join(str(one.pid) for one in left)
        return failed(
            f"{file} has lines of a tunnel that is no more (pid {pids}).",
            "Names in it lead to this machine, where nothing answers.",
            "pyodide-offline doctor --fix",
            blame="dns",
            repair="hosts-lines",
            **evidence,
        )
    host = places.official(observed).host
    with suppress(OSError, UnicodeDecodeError):
        for line in file.read_text(encoding="utf-8").splitlines():
            words = line.partition("#")[0].split()
            if host in words[1:] and "pyodide-offline" not in line:
                return warned(
                    f"{file} leads {host} to {words[0]}, in a line that is not ours.",
                    "Somebody has put it there by hand, or another tool has.",
                    f"Take it out if nothing listens there: sudo nano {file}",
                    line=line.strip(),
                )
    return passed("The hosts file leads nobody astray.", **evidence)


def namespaces(_: Observed) -> Finding:
    """Try to make namespaces of one's own, as some ways of a tunnel do."""
    if sys.platform != "linux" or not (unshare := shutil.which("unshare")):
        return skipped("There are no namespaces here, or no unshare to make them.")
    said = process.capture([unshare, "-Urnm", "true"], timeout=3)
    if said.status == 0:
        return passed("User, network and mount namespaces can be made.")
    reason = process.tail(said.stderr) or f"status {said.status}"
    return passed(f"No user namespaces here ({reason}): tunnel --hosts needs root.", allowed=False)


def kind(observed: Observed) -> Finding:
    """Say what kind of machine this is, by what it does."""
    signs = {name: "container" for file, name in _CONTAINERS.items() if Path(file).exists()}
    status = _text("/proc/self/status")
    version = _text("/proc/version")
    if "microsoft" in version.lower():
        signs["WSL"] = "Windows Subsystem for Linux"
    if "\nSeccomp:\t2" in status:
        signs["seccomp"] = "system calls are filtered"
    if "\nNoNewPrivs:\t1" in status:
        signs["no new privileges"] = "sudo does nothing here"
    if _read_only("/"):
        signs["read-only"] = "the root folder cannot be written"
    if any(name.lower() == "https_proxy" and value for name, value in observed.environ.items()):
        signs["proxy"] = "the environment names one"
    if not signs:
        return passed("A plain machine.")
    restrained = {"seccomp", "no new privileges", "read-only"} & set(signs)
    what = "A sandbox" if len(restrained) > 1 else "A machine"
    return passed(f"{what} with: {', '.join(signs)}.", **signs)


def _text(path: str) -> str:
    with suppress(OSError):
        return Path(path).read_text(encoding="utf-8", errors="replace")
    return ""


def _read_only(folder: str) -> bool:
    import os

    with suppress(OSError, AttributeError):
        return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
    return False


CHECKS = (
    Check("machine.ports", "Who holds ports 443 and 8787?", ports),
    Check(
        "machine.hosts",
        "Does the hosts file lead names astray?",
        hosts_lines,
        spared_by=("bundle.ready",),
    ),
    Check("machine.namespaces", "Can namespaces be made?", namespaces),
    Check("machine.kind", "What kind of machine is this?", kind),
)
