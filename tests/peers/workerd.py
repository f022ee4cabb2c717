"""A stand-in for the workerd binary: what 1.20261117.1 prints, as seen, and nothing else.

The real one is asked in tests/e2e. Here it must be possible to break it in all ways.
"""

import base64
import json
import stat
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

URL = "https://pyodide-capnp-bin.edgeworker.net/pyodide_{}.capnp.bin"

_SOURCE = """\
#!{python}
import base64, hashlib, json, os, re, sys
from pathlib import Path

said = json.loads({setup!r})
with open({log!r}, "a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
if sys.argv[1:] == ["--version"]:
    print("workerd " + said["version"])
    sys.exit(0)
if "-" in sys.argv:
    received = sys.stdin.buffer.read()
    record = {{"argv": sys.argv[1:], "pid": os.getpid()}}
    record["stdin"] = base64.b64encode(received).decode()
    Path({log!r} + ".served").write_text(json.dumps(record))
    sys.exit(said["status"])
cache = Path(next(a.split("=", 1)[1] for a in sys.argv if "disk-cache-dir" in a))
config = Path(sys.argv[-1]).read_text()
old_date = re.search(r'compatibilityDate = "(.*?)"', config)[1] < said["switch"]
name = said["old_id"] if old_date else said["id"]
if said["silent"]:
    sys.exit(1)
if "python_workers_development" in config:
    bundle = (cache / "pyodide_dev.capnp.bin").read_bytes()
    expected = said["dev_version"]
    if expected and b'var pub="' + expected.encode() + b'";' not in bundle:
        print(f"PythonWorkersInternalError: Pyodide version mismatch, expected '{{expected}}'")
        sys.exit(1)
    if said["broken_start"]:
        print("service probe: Uncaught Error: " + said["broken_start"])
        sys.exit(1)
    print(re.search(r"print\\('(.*?)'\\)", config)[1])
    sys.exit(0)
path = cache / ("pyodide_" + name + ".capnp.bin")
url = said["url"].format(name)
if not path.exists():
    if "--verbose" in sys.argv:
        place = "workerd/server/server/pyodide.rs:117"
        print(f"{{place}}: info: Loading Pyodide bundle from internet; url = {{url}}")
    print("*** Uncaught exception ***")
    print("workerd/server/server/bridge.rs:843: failed: Request for Pyodide bundle failed; "
          f"url = {{url}}; failed to lookup address information: Name or service not known")
    sys.exit(1)
if said["digest"] is None:
    print("*** Fatal uncaught kj::Exception: capnp/serialize.c++:215: failed: expected; "
          "Message ends prematurely in segment table.")
    sys.exit(1)
actual = "sha256-" + base64.b64encode(hashlib.sha256(path.read_bytes()).digest()).decode()
print("*** Uncaught exception ***")
print("workerd/server/server/bridge.rs:843: failed: Pyodide bundle integrity check failed: the "
      "bundle does not match the expected checksum.; version = " + name + "; expectedIntegrity = "
      + said["digest"] + "; actualIntegrity = " + actual)
sys.exit(1)
"""


@dataclass(frozen=True)
class Setup:
    """What this workerd says: ``digest`` as SRI or None (releases that carry none)."""

    id: str = "314.0.6_2026-08-17_11"
    old_id: str = "0.28.2_2025-01-16_22"
    switch: str = "2026-09-08"
    digest: str | None = "sha256-NItCLHMj/EjOzDcedzbUDicMYO9n9q0loNUX4scRvbE="
    dev_version: str = ""
    broken_start: str = ""
    version: str = "2026-11-17"
    silent: bool = False
    status: int = 0
    url: str = URL


@dataclass(frozen=True)
class FakeWorkerd:
    """The program, and the log of how it was called."""

    path: Path
    log: Path

    def calls(self) -> list[list[str]]:
        """Return the arguments of each start."""
        if not self.log.exists():
            return []
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def served(self) -> tuple[list[str], bytes]:
        """Return arguments and standard input of the last ``serve … -``."""
        record = json.loads(Path(str(self.log) + ".served").read_text())
        return record["argv"], base64.b64decode(record["stdin"])


def make(folder: Path, setup: Setup | None = None) -> FakeWorkerd:
    """Write the program into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path, log = folder / "workerd", folder / "calls.log"
    text = _SOURCE.format(
        python=sys.executable, setup=json.dumps(asdict(setup or Setup())), log=str(log)
    )
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return FakeWorkerd(path, log)
