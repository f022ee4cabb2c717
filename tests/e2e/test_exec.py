"""`exec` as root and as an ordinary user: what leads out, what does not, what is left."""

import fcntl
import os
import pty
import signal
import site
import socket
import subprocess
import sys
import tempfile
import termios
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import pyodide_offline
from tests.e2e import hashless
from tests.e2e.conftest import Machine
from tests.peers import corporate
from tests.peers.tunnelling import Proxy

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's"),
]

HOST = "far.example"
NOBODY = 65534

ASK = """
import socket
with socket.create_connection(("far.example", 443), 10) as sock:
    sock.sendall(b"question ")
    sock.shutdown(socket.SHUT_WR)
    print(sock.makefile().read())
"""
LEAVE = """
import socket
for family, address in (
    (socket.AF_INET, "192.0.2.1"), (socket.AF_INET, "1.1.1.1"),
    (socket.AF_INET6, "2001:db8::1"), (socket.AF_INET6, "2606:4700:4700::1111"),
):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(family, kind) as sock:
            sock.settimeout(5)
            try:
                sock.connect((address, 443))
                print("left", address, kind)
            except OSError as error:
                print(error.strerror)
try:
    print("found", socket.getaddrinfo("other.example", 443))
except socket.gaierror as error:
    print(error.strerror)
"""
QUERY = """
import re, socket
server = re.search("nameserver (.*)", open("/etc/resolv.conf").read())[1]
for labels in ("far", "example"), ("other", "example"):
    name = b"".join(bytes([len(one)]) + one.encode() for one in labels) + bytes(1)
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.connect((server, 53))
        sock.send(b"id" + bytes([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]) + name + bytes([0, 1, 0, 1]))
        answer = sock.recv(512)
    print(answer[3] & 15, answer[-4:].hex() if answer[7] else "-")
"""
SERVE = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"from inside")
http.server.HTTPServer((sys.argv[2], int(sys.argv[1])), Handler).serve_forever()
"""


@dataclass(frozen=True)
class User:
    """Who runs it: the start of a command line, and a folder that is his."""

    start: Sequence[str]
    home: Path
    python: str
    environ: dict[str, str]

    def line(self, *words: str) -> list[str]:
        return [*self.start, self.python, "-m", "pyodide_offline", "exec", *words]

    def run(self, *words: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.line(*words),
            cwd=self.home,
            env={**self.environ, **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @contextmanager
    def started(self, *words: str) -> Iterator["subprocess.Popen[str]"]:
        with subprocess.Popen(
            self.line(*words),
            cwd=self.home,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as child:
            try:
                yield child
            finally:
                child.kill()


@pytest.fixture(params=["this user", "nobody"])
def user(request: pytest.FixtureRequest, machine: Machine) -> Iterator[User]:
    with tempfile.TemporaryDirectory(prefix="exec e2e ") as folder:
        home = Path(folder)
        start: list[str] = []
        python = sys.executable
        if request.param == "nobody":
            if os.geteuid() != 0:
                pytest.skip("only root can become nobody; this user is tested as he is")
            os.chown(home, NOBODY, NOBODY)
            ids = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
            start = ["setpriv", *ids, "--"]
            python = readable_python(start)
        named = {"HOME": str(home), "PYODIDE_OFFLINE_CACHE_DIR": str(home / "c"), "TMPDIR": "/tmp"}
        # Without folders of root's own: an ordinary user's search would end there.
        named["PATH"] = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
        if python != sys.executable:
            packages = [str(Path(pyodide_offline.__file__).parents[1]), *site.getsitepackages()]
            named["PYTHONPATH"] = os.pathsep.join(packages)
        yield User(start, home, python, {**machine.env, **named, "NO_PROXY": ""})


def readable_python(start: Sequence[str]) -> str:
    """A Python that this user may start; the tests' own may lie in root's home."""
    tried = [sys.executable, "/usr/bin/python3"]
    for one in tried:
        if subprocess.run([*start, "test", "-x", one], check=False).returncode == 0:
            return one
    reason = f"nobody may start none of {tried}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def far_host() -> Iterator[int]:
    """A host that gives back what it was told once that has ended."""

    def serve() -> None:
        while True:
            try:
                sock, _ = server.accept()
                with sock:
                    sock.sendall(sock.makefile("rb").read() + b"answer")
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield int(server.getsockname()[1])
        finally:
            server.shutdown(socket.SHUT_RDWR)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def page(port: int, child: "subprocess.Popen[str]") -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while child.poll() is None:
        try:
            with opener.open(f"http://127.0.0.1:{port}/", timeout=10) as answer:
                return str(answer.read().decode())
        except OSError:
            time.sleep(0.05)
    raise AssertionError(child.stderr.read() if child.stderr else "")


def test_a_target_is_reached_by_its_name_through_the_proxy(user: User) -> None:
    with far_host() as far, Proxy({(HOST, 443): ("127.0.0.1", far)}, "me:secret") as proxy:
        url = proxy.url.replace("://", "://me:secret@")
        code = f"{ASK}\nimport os; print(sorted(os.environ)); print(os.getuid(), os.getgid())"
        words = ["--target", HOST, "--", user.python, "-c", code]
        done = user.run(*words, HTTPS_PROXY=url, https_proxy=url)
    assert done.returncode == 0, done.stderr
    answer, names, ids = done.stdout.splitlines()
    assert answer == "question answer"
    assert "HTTPS_PROXY" not in names.upper()
    assert ids == (f"{NOBODY} {NOBODY}" if user.start else f"{os.getuid()} {os.getgid()}")
    assert proxy.asked == [(HOST, 443)]
    assert f"{HOST}:443 is all that can be reached, through {proxy.url}" in done.stderr
    assert "1 connections (1 at once), 9 bytes sent, 15 bytes received" in done.stderr
    assert "secret" not in done.stdout + done.stderr


def test_nothing_else_leaves_by_ipv4_or_ipv6(user: User) -> None:
    done = user.run("--target", HOST, "--", user.python, "-c", LEAVE)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 9
    assert set(lines[:8]) <= {"Network is unreachable", "Cannot assign requested address"}, lines
    assert "found" not in lines[8]
    assert "left" not in done.stdout


def test_a_program_that_asks_name_servers_itself_hears_of_the_targets_alone(user: User) -> None:
    done = user.run("--target", HOST, "--", user.python, "-c", QUERY)
    assert done.stdout.split() == ["0", "7f000001", "3", "-"], done.stderr


def test_no_capability_leads_out_again(user: User) -> None:
    status = (
        "grep ^Cap /proc/self/status; ip link add x type dummy || echo no link;"
        "mount -t tmpfs x /mnt || echo no mount; umount /etc/hosts || echo no umount"
    )
    done = user.run("--target", HOST, "--", "sh", "-c", status)
    masks = [int(line.split()[1], 16) for line in done.stdout.splitlines()[:5]]
    allowed = 0 if user.start or os.geteuid() else 0x4FF
    assert all(mask & ~allowed == 0 for mask in masks), done.stdout
    assert done.stdout.endswith("no link\nno mount\nno umount\n"), done.stdout


def test_the_real_files_stay_and_the_private_ones_have_no_name(user: User) -> None:
    before = [Path(f"/etc/{name}").read_bytes() for name in ("hosts", "resolv.conf")]
    listing = "cat /etc/hosts /etc/resolv.conf; grep hosts: /etc/nsswitch.conf; ls $TMPDIR"
    done = user.run("--target", HOST, "--", "sh", "-c", listing, TMPDIR=str(user.home))
    assert done.stdout.startswith(f"127.0.0.1\t{HOST}\n")
    assert "nameserver 127.0.0.1\n" in done.stdout
    assert done.stdout.endswith("hosts:\tfiles\n"), done.stdout
    assert [Path(f"/etc/{name}").read_bytes() for name in ("hosts", "resolv.conf")] == before


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1"])  # noqa: S104 - inside
def test_a_port_of_the_command_is_published(user: User, address: str) -> None:
    port = free_port()
    serve = SERVE.replace("http.server.HTTPServer", "Server").replace(
        "class H",
        "class Server(http.server.HTTPServer):\n"
        f"    address_family = {int(socket.AF_INET6 if ':' in address else socket.AF_INET)}\n"
        "class H",
        1,
    )
    words = ["--target", HOST, "--", user.python, "-c", serve, str(port), address]
    with user.started(*words) as child:
        assert page(port, child) == "from inside"
        child.terminate()
        assert child.wait(20) == 143
        assert child.stderr
        text = child.stderr.read()
        assert text.count(f"published on this machine: 127.0.0.1:{port}") == 1, text
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_named_ports_alone_are_published(user: User) -> None:
    here, inside = free_port(), free_port()
    serve = ["--", user.python, "-c", SERVE, str(inside), "127.0.0.1"]
    with user.started("--target", HOST, "--publish", f"{here}:{inside}", *serve) as child:
        assert page(here, child) == "from inside"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", inside))


def test_a_named_port_that_is_taken_is_told_and_nothing_runs(user: User) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = user.run("--target", HOST, "--publish", port, "--", "touch", "ran")
    assert done.returncode == 3
    assert "the port is taken" in done.stderr
    assert not (user.home / "ran").exists()


@pytest.mark.parametrize(
    ("code", "status"), [("exit 7", 7), ("kill -TERM $$", 143), ("kill -KILL $$", 137)]
)
def test_the_status_is_the_commands(user: User, code: str, status: int) -> None:
    done = user.run("--target", HOST, "--", "sh", "-c", code)
    assert done.returncode == status, done.stderr


def test_a_command_that_is_not_there_is_told_as_ever(user: User) -> None:
    done = user.run("--target", HOST, "--", "no-such-program")
    assert done.returncode == 7
    assert "error[toolchain]: There is no program 'no-such-program' to run." in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_reaches_the_command(user: User, number: int) -> None:
    code = f"trap 'echo heard; exit 9' {int(number)}; echo ready; while :; do sleep 0.1; done"
    with user.started("--target", HOST, "--", "sh", "-c", code) as child:
        assert child.stdout
        assert child.stdout.readline() == "ready\n"
        child.send_signal(number)
        assert child.wait(20) == 9
        assert child.stdout.read() == "heard\n"


def test_ctrl_c_at_a_terminal_is_heard_once_and_the_terminal_is_the_commands(user: User) -> None:
    code = "trap 'echo heard; exit 9' INT; read x; echo got $x; while :; do sleep 0.1; done"
    ours, its = pty.openpty()
    with subprocess.Popen(
        user.line("--target", HOST, "--", "sh", "-c", code),
        cwd=user.home,
        env=user.environ,
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    ) as child:
        os.close(its)
        os.write(ours, b"word\n")
        text = b""
        with suppress(OSError):  # the terminal is nobody's any more
            while more := os.read(ours, 1000):
                text += more
                if b"got word" in text and b"^C" not in text:
                    os.write(ours, b"\x03")
                    text += b"^C"
        os.close(ours)
        assert child.wait(20) == 9, text
    assert text.count(b"heard") == 1, text


@pytest.mark.parametrize("victim", ["pyodide-offline", "the process inside"])
def test_killed_it_leaves_nothing_behind(user: User, victim: str) -> None:
    # A stubborn grandchild in a session of its own, which no hang-up reaches.
    code = "setsid sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1; done' & echo $PPID; wait"
    with user.started("--target", HOST, "--", "sh", "-c", code) as child:
        assert child.stdout
        found = {child.stdout.readline().strip(), child.stdout.readline().strip()}
        folder = f"/proc/{child.pid}/task/{child.pid}/children"
        (inside,) = Path(folder).read_text().split()
        left = [int(one) for one in found if one != inside]
        os.kill(child.pid if victim == "pyodide-offline" else int(inside), signal.SIGKILL)
        child.wait(20)
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in [*left, int(inside)]):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def test_two_at_once_do_not_meet(user: User) -> None:
    with user.started("--target", HOST, "--", "sh", "-c", "echo ready; sleep 60") as first:
        assert first.stdout
        assert first.stdout.readline() == "ready\n"
        assert user.run("--target", HOST, "--", "true").returncode == 0


@pytest.mark.usefixtures("counting_network")
@pytest.mark.parametrize("name", ["max_user_namespaces", "max_net_namespaces"])
def test_a_refusal_names_the_switch_and_the_other_way(user: User, name: str) -> None:
    """A real one: the limit of a user namespace around it is 0."""
    shell = f'echo 0 >/proc/sys/user/{name}; exec "$@"'
    around = ["unshare", "--user", "--map-root-user", "sh", "-c", shell, "sh"]
    confined = replace(user, start=[*user.start, *around])
    done = confined.run("--target", HOST, "--", "touch", "ran")
    assert done.returncode == 11, done.stderr
    assert "No space left on device" in done.stderr
    assert f"sudo sysctl -w user.{name}=10000" in done.stderr
    assert "pyodide-offline tunnel --hosts -- COMMAND" in done.stderr
    assert not (user.home / "ran").exists()


def test_a_root_who_may_not_be_mapped_is_told_so(user: User) -> None:
    """As in a container whose root has no capability; wanted since Linux 5.12."""
    drop = ["--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all", "--"]
    bare = replace(user, start=[*user.start, "unshare", "--map-root-user", "setpriv", *drop])
    done = bare.run("--target", HOST, "--", "touch", "ran")
    assert done.returncode == 11, done.stderr
    assert "write of uid_map, Operation not permitted" in done.stderr
    assert "--cap-add SETFCAP" in done.stderr
    assert not (user.home / "ran").exists()


def test_in_a_user_namespace_it_works_as_in_a_rootless_container(user: User) -> None:
    nested = replace(user, start=[*user.start, "unshare", "--map-root-user", "--"])
    with far_host() as far, Proxy({(HOST, 443): ("127.0.0.1", far)}) as proxy:
        words = ["--target", HOST, "--", user.python, "-c", ASK]
        done = nested.run(*words, HTTPS_PROXY=proxy.url)
    assert (done.returncode, done.stdout) == (0, "question answer\n"), done.stderr


@pytest.mark.timeout(300)
def test_a_workerd_without_a_hash_gets_its_bundle_by_itself(
    machine: Machine, counting_network: None, tmp_path: Path
) -> None:
    """wrangler 4.86.0 in a scene without DNS: the same as through `tunnel --hosts`."""
    seen = hashless.start(machine, tmp_path, "exec")
    assert seen.hosts_meanwhile.encode() == seen.hosts_after.encode() == corporate.HOSTS
    assert "127.0.0.1:8787" in seen.output
