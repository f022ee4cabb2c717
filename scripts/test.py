"""Run every gate of this project, cheap ones first: `python3 scripts/test.py`.

Needs Python 3.11 or newer and a package index, nothing else: it makes .venv in the
clone, installs the project with its tools there and, where it may, the Debian packages
that the tests use. A gate that fails does not stop the next; the exit status is 0 only
when all passed. Standard library only.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import bootstrap
from bootstrap import ROOT, say

VENV = ROOT / ".venv"
README_TEST = "tests/unit/test_readme.py"
PROGRAMS = {
    "ip": "iproute2",
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "nsenter": "util-linux",
    "mount": "mount",
    # Resolvers of the end-to-end tests, which start them on ports of their own; the
    # services that come with these packages stay off (see bootstrap.apt_install).
    "unbound": "unbound",
    "dnsdist": "dnsdist",
    "named": "bind9",
    # Proxies of the end-to-end tests, in the same way.
    "squid": "squid",
    "tinyproxy": "tinyproxy",
    "microsocks": "microsocks",
    "stunnel4": "stunnel4",
    "haproxy": "haproxy",
    "danted": "dante-server",
    # A Kerberos realm for squid, and what the extra `kerberos` is compiled with.
    "krb5kdc": "krb5-kdc",
    "kadmin.local": "krb5-admin-server",
    "kinit": "krb5-user",
    "krb5-config": "libkrb5-dev",
    "gcc": "gcc",
    "python3-config": "python3-dev",
    # Reads what `env --shell fish` prints.
    "fish": "fish",
    # Readers of kits that are not ours: of the signature, and of the OCI layout.
    "minisign": "minisign",
    "skopeo": "skopeo",
    # Another store for a mirror, and the server that its hits are measured against.
    "docker-registry": "docker-registry",
    "nginx": "nginx-light",
    # The browser of tests/e2e/test_browser.py.
    "chromium": "chromium",
}

# A new network namespace has loopback down, and root ignores read-only folders, which
# some tests make: so loopback is brought up first, and then every capability is dropped.
NO_NETWORK = [
    "unshare",
    "--map-current-user",
    "--net",
    "--keep-caps",
    "sh",
    "-c",
    "ip link set lo up && "
    'exec setpriv --inh-caps=-all --ambient-caps=-all --bounding-set=-all "$@"',
    "sh",
]

# Imports all of the installed package, from wherever it is, and says where that is.
IMPORT_ALL = """
import importlib, pkgutil, sys, pyodide_offline as package
for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    extra = "pytest_plugin" in found.name or ".mirror." in found.name
    if not found.name.endswith(".__main__") and (not extra or len(sys.argv) > 1):
        importlib.import_module(found.name)
print(package.__file__)
"""


@dataclass(frozen=True)
class Outcome:
    """How a gate went, what it printed, and whether that was shown as it came."""

    passed: bool
    output: str
    shown: bool = False


@dataclass(frozen=True)
class Gate:
    """One check. ``show_end`` prints the last line whatever the outcome (pytest's count)."""

    name: str
    check: Callable[[], Outcome]
    fast: bool = True
    show_end: bool = False


def tool(*command: str) -> Callable[[], Outcome]:
    """Return a check that runs a program of the venv in the clone."""
    return lambda: run(command)


def run(command: Sequence[str], *, cwd: Path = ROOT, stream: bool = False) -> Outcome:
    """Run a program without standard input; the venv's programs come first."""
    try:
        child = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        return Outcome(passed=False, output=f"{command[0]}: {error.strerror}")
    lines = []
    with child:
        for line in child.stdout or ():
            lines.append(line)
            if stream:
                say(f"      {line.rstrip()}")
    return Outcome(child.returncode == 0, "".join(lines), shown=stream)


def environment() -> dict[str, str]:
    """Return the environment of the gates: no setting of this product leaks into them."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYODIDE_OFFLINE_")}
    path = os.pathsep.join([str(bootstrap.bin_dir(VENV)), bootstrap.system_path()])
    return {**kept, "PATH": path, "VIRTUAL_ENV": str(VENV), "PYTHONUNBUFFERED": "1"}


def unit_tests() -> Outcome:
    """Run the unit tests where no packet can leave, if this machine allows such a place."""
    pytest = ["pytest", "--color=no", "tests/unit", f"--ignore={README_TEST}"]
    if sys.platform != "linux" or not run([*NO_NETWORK, "true"]).passed:
        say("WARN  network namespaces are not allowed here: the unit tests run WITH a network")
        return run(pytest)
    return run([*NO_NETWORK, *pytest])


def end_to_end() -> Outcome:
    """Run the real chain, one after the other: wrangler's choice of ports bears no neighbours."""
    return run(["pytest", "--color=no", "-v", "--durations=20", "tests/e2e"], stream=True)


def wheel() -> Outcome:
    """Build the wheel, install it in another venv, use it from another folder."""
    with tempfile.TemporaryDirectory(prefix="pyodide-offline-wheel-") as folder:
        scratch = Path(folder)
        venv = scratch / "venv"
        built = run(["python", "-m", "build", "--wheel", "--outdir", str(scratch / "dist"), "."])
        wheels = sorted((scratch / "dist").glob("*.whl"))
        if not built.passed or len(wheels) != 1:
            return Outcome(passed=False, output=built.output)
        python = str(bootstrap.venv_python(venv))
        program = str(bootstrap.bin_dir(venv) / "pyodide-offline")
        outcome = built
        for command in (
            ["python", "-m", "venv", str(venv)],
            [python, "-m", "pip", "install", "-q", str(wheels[0])],
            [python, "-W", "error", "-c", IMPORT_ALL],
            [program, "--help"],
            [program, "--version"],
            [python, "-m", "pyodide_offline", "--version"],
            # Only the plugin needs pytest, which the wheel does not bring.
            [python, "-m", "pip", "install", "-q", "pytest"],
            # Only the mirror needs its servers and stores.
            [python, "-m", "pip", "install", "-q", f"{wheels[0]}[mirror]"],
            [python, "-W", "error", "-c", IMPORT_ALL, "all"],
            [python, "-m", "pytest", "--strict-config", "--fixtures", "-q", str(venv / "bin")],
        ):
            outcome = run(command, cwd=scratch)
            if not outcome.passed:
                return Outcome(passed=False, output=f"$ {' '.join(command)}\n{outcome.output}")
            if IMPORT_ALL in command and str(venv) not in outcome.output:
                return Outcome(passed=False, output=f"not the wheel's: {outcome.output}")
        if "worker_session" not in outcome.output:
            return Outcome(passed=False, output=f"pytest has no plugin: {outcome.output}")
        return outcome


GATES = [
    Gate("ruff format", tool("ruff", "format", "--check", ".")),
    Gate("ruff check", tool("ruff", "check", ".")),
    Gate("layout", tool("python", "scripts/check_layout.py")),
    Gate("lint-imports", tool("lint-imports")),
    Gate("mypy --strict", tool("mypy", "--strict")),
    Gate("README", tool("pytest", "--color=no", README_TEST)),
    Gate("unit tests", unit_tests, show_end=True),
    Gate("wheel", wheel, fast=False),
    Gate("end to end", end_to_end, fast=False, show_end=True),
]


def main() -> int:
    """Prepare the machine, run the gates, print a summary."""
    parser = argparse.ArgumentParser(prog="test.py", description="Run every gate of the project.")
    parser.add_argument("--fast", action="store_true", help="only the part that takes seconds")
    parser.add_argument(
        "--only",
        action="append",
        metavar="GATE",
        choices=[gate.name for gate in GATES],
        help=f"this gate, may be repeated: {', '.join(gate.name for gate in GATES)}",
    )
    options = parser.parse_args()
    started = time.monotonic()
    try:
        bootstrap.ensure_venv(VENV, ["-e", ".[dev]"])
    except bootstrap.CannotPrepareError as error:
        print(error, file=sys.stderr)
        return 1
    if sys.platform == "linux" and (missing := bootstrap.ensure_debian_packages(PROGRAMS)):
        say(f"WARN  missing; type as root: apt-get install {' '.join(missing)}")
    say(f"      ready in {time.monotonic() - started:.1f} s")

    failed = []
    chosen = [
        gate
        for gate in GATES
        if (gate.name in options.only if options.only else gate.fast or not options.fast)
    ]
    for gate in chosen:
        began = time.monotonic()
        outcome = gate.check()
        seconds = time.monotonic() - began
        if not outcome.passed:
            failed.append(gate.name)
            if not outcome.shown:
                say(outcome.output.rstrip())
        say(f"{'ok  ' if outcome.passed else 'FAIL'}  {gate.name:<15} {seconds:6.1f} s")
        if gate.show_end and (outcome.passed or outcome.shown):
            say((outcome.output.rstrip().splitlines() or ["(it printed nothing)"])[-1])
    total = time.monotonic() - started
    if failed:
        say(f"{len(failed)} of {len(chosen)} gates failed in {total:.0f} s: {', '.join(failed)}")
        return 1
    say(f"all {len(chosen)} gates passed in {total:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
