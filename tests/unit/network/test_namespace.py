"""The kernel's side, each in a process that may be spoilt."""

import json
import os
import subprocess
import sys

import pytest

from pyodide_offline.network import namespace

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")

ENTER = """
import errno, json, os, socket, sys
from pathlib import Path
from pyodide_offline.network import namespace
ready, go = os.pipe(), os.pipe()
if (pid := os.fork()) == 0:
    namespace.new_user()
    os.write(ready[1], b"x")
    kept = int(os.read(go[0], 20))
    namespace.new_network_and_mounts()
else:
    os.read(ready[0], 1)
    os.write(go[1], str(namespace.map_ids(pid)).encode())
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def inside(code, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", ENTER + code, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_loopback_works_and_nothing_else_is_there():
    code = """
before = socket.socket().connect_ex(("127.0.0.1", 1))
namespace.raise_loopback()
after = socket.socket().connect_ex(("127.0.0.1", 1))
names = [name for _, name in socket.if_nameindex()]
print(json.dumps([before == errno.ENETUNREACH, after == errno.ECONNREFUSED, "lo" in names,
                  namespace.leak(), os.getuid(), os.getgid()]))
"""
    assert inside(code) == [True, True, True, "", os.getuid(), os.getgid()]


def test_a_file_is_shown_in_the_place_of_another_to_nobody_else(tmp_path):
    shown, place, link = tmp_path / "the shown", tmp_path / "place", tmp_path / "link"
    shown.write_text("new")
    place.write_text("old")
    link.symlink_to(place)
    code = """
namespace.show(Path(sys.argv[1]), Path(sys.argv[2]))
Path(sys.argv[1]).unlink()
print(json.dumps(Path(sys.argv[3]).read_text()))
"""
    assert inside(code, str(shown), str(link), str(place)) == "new"
    assert place.read_text() == "old"
    assert not shown.exists()


def test_capabilities_are_dropped_for_what_is_started_too():
    code = """
import subprocess
namespace.drop_capabilities(0)
own = Path("/proc/self/status").read_text()
child = subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True).stdout
print(json.dumps([[int(line.split()[1], 16) for line in text.splitlines() if line.startswith("Cap")]
                  for text in (own, child)]))
"""
    assert inside(code) == [[0] * 5] * 2


def test_a_step_that_is_refused_is_named(tmp_path):
    code = """
try:
    namespace.show(Path(sys.argv[1]), Path("/etc/passwd"))
except namespace.StepError as error:
    print(json.dumps([error.step, error.number == errno.ENOENT]))
"""
    assert inside(code, str(tmp_path / "none")) == ["mount over /etc/passwd", True]


def test_where_something_can_be_dialled_that_is_a_leak(monkeypatch):
    monkeypatch.setattr(namespace, "_NO_WAY", set())
    assert namespace.leak() == "192.0.2.1"


def test_switches_are_read_as_they_stand():
    found = namespace.switches()
    assert int(found["user.max_user_namespaces"]) >= 0
    assert found["seccomp"] in {"0", "1", "2"}
