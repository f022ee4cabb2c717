"""A stand-in for the workerd binary: what the releases of 2026 print, as seen, and no more.

By default 1.20261117.1; the other interfaces by ``Setup``. The real ones are asked in
tests/e2e. Here it must be possible to break them in all ways.
"""

import base64
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.peers import program

URL = "https://pyodide-capnp-bin.edgeworker.net/pyodide_{}.capnp.bin"

_SOURCE = """\
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
cache = Path(next(a.split("=", 1)[1] for a in sys.argv if "bundle-disk" in a))
config = Path(sys.argv[-1]).read_text()
old_date = re.search(r'compatibilityDate = "(.*?)"', config)[1] < said["switch"]
name = said["old_id"] if old_date else said["id"]
if said["silent"]:
    sys.exit(1)
flags = re.findall(r'"(\\w+)"', re.search(r"compatibilityFlags = \\[(.*?)\\]", config)[1])
for flag in flags:
    plain = flag.removeprefix("no_")
    if plain.startswith("python_") and plain not in said["flags"]:
        print(f"service probe: No such compatibility flag: {{flag}}")
        sys.exit(1)
    if "no_" + flag in flags:
        print("service probe: Compatibility flags are mutually contradictory: "
              f"{{flag}} vs no_{{flag}}")
        sys.exit(1)
for flag, chosen in said["choosing"].items():
    if flag in flags:
        name = chosen


def imported(bundle):
    form = said["form"]
    modules = {{"asm": b"pyodide.asm", "setup": b"emscriptenSetup",
               "setup-as-data": b"emscriptenSetup.js"}}
    if b"pyodideRuntime-internal:" + modules[form] + b"\\0" not in bundle:
        print("workerd/api/pyodide/setup-emscripten.c++:75: failed: expected "
              "emsciptenSetupJsReader != nullptr" if form == "setup-as-data"
              else f"service probe: Uncaught Error: No such module {{modules[form].decode()}}")
        sys.exit(1)
    missing = False
    packages = [a.split("=", 1)[1] for a in sys.argv if "package-disk-cache-dir" in a]
    for attempt in range(3):
        for archive in said["archives"]:
            if not packages or not (Path(packages[0]) / archive).is_file():
                print("workerd/server/pyodide.c++:131: warning: Failed to download package; "
                      f"path = python-package-bucket/20250808/{{archive}}; e = DNS lookup failed")
                print("stack: /workerd@1 /workerd@2")
                missing = True
    if missing:
        sys.exit(1)
    signal = ("pyodide-offline asks for " + form + ".").encode()
    if signal in bundle:
        print("service probe: Uncaught Error: " + signal.decode())
        sys.exit(1)
    heads = {{"asm": b"pyodide-internal:builtin_wrappers", "setup": b"internal:unsafe-eval",
             "setup-as-data": b"const unsafeEval = null;"}}
    if heads[form] not in bundle:
        print("service probe: Uncaught ReferenceError")
        sys.exit(1)
    expected = said["version_taken"]
    if expected and b'var pub="' + expected.encode() + b'";' not in bundle:
        print(f"PythonWorkersInternalError: Pyodide version mismatch, expected '{{expected}}'")
        sys.exit(1)
    if said["broken_start"]:
        print("service probe: Uncaught Error: " + said["broken_start"])
        sys.exit(1)
    told = re.search(r"print\\('(.*?)'\\)", config)
    print(told[1] if told else "")
    sys.exit(0)


dated = said["dated"] if not old_date or set(said["choosing"]) & set(flags) else ""
if "python_workers_development" in flags and not (dated and "no_" + dated not in flags):
    imported((cache / "pyodide_dev.capnp.bin").read_bytes())
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
if said["digest"] is None and len(path.read_bytes()) > 8:
    imported(path.read_bytes())
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
    """What this workerd says: ``digest`` as SRI or None (releases that carry none).

    ``archives`` are packages that it downloads at start; with ``lockfile`` it names them in
    a text of the binary, as the older releases do.
    """

    id: str = "314.0.6_2026-08-17_11"
    old_id: str = "0.28.2_2025-01-16_22"
    switch: str = "2026-09-08"
    digest: str | None = "sha256-NItCLHMj/EjOzDcedzbUDicMYO9n9q0loNUX4scRvbE="
    form: str = "asm"
    # The public version that it takes, empty for any.
    version_taken: str = ""
    # A flag that wins over `dev`, switched on by a new date (up to 1.20260828.1).
    dated: str = ""
    # What else it knows, and what each of the dated ones chooses.
    flags: tuple[str, ...] = (
        "python_workers",
        "python_workers_development",
        "python_workers_20250116",
        "python_workers_314",
        "other",
    )
    choosing: dict[str, str] = field(default_factory=dict)
    archives: tuple[str, ...] = ()
    lockfile: bool = False
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
    setup = setup or Setup()
    source = _SOURCE.format(setup=json.dumps(asdict(setup)), log=str(log))
    entries = [
        {"name": "x", "file_name": name, "package_type": "cpython_module"}
        for name in (setup.archives if setup.lockfile else ())
    ]
    program.write(path, source + "".join(f"# {json.dumps(entry)}\n" for entry in entries))
    return FakeWorkerd(path, log)
