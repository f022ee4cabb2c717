"""Namespaces of the kernel, each in a process that may be spoilt, and what goes between them."""

import json
import os
import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.usefixtures("counting_network"),
    pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's"),
]

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


PLAY = """
import json, os, sys
from pyodide_offline.network import confinement
words = json.loads(sys.argv[1])
plan = confinement.Plan(words, os.environ, ["a.example"], [("127.0.0.1", 443)])
with confinement.enter(plan) as confined:
    confined.ready()
    listener = confined.listener("127.0.0.1", 443)
    listener.setblocking(True)
    status = confined.attend(lambda: None)
    if status == 5:
        print(listener.accept()[0].recv(9).decode())
sys.exit(status)
"""
DIAL = """
import socket, sys
with socket.create_connection(("a.example", 443), 5) as sock:
    sock.sendall(b"question")
sys.exit(5)
"""


def play(words, **more):
    return subprocess.run(
        [sys.executable, "-c", PLAY, json.dumps(words)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        **more,
    )


def test_what_dials_a_target_inside_is_accepted_outside():
    done = play([sys.executable, "-c", DIAL])
    assert (done.returncode, done.stdout) == (5, "question\n"), done.stderr


def test_a_command_that_is_not_there_is_an_error_outside():
    done = play(["no-such-program"])
    assert "ToolchainError: There is no program 'no-such-program' to run." in done.stderr
