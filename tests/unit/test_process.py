"""Programs: what they print, their status, their signals, what they leave behind."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pyodide_offline import process
from pyodide_offline.errors import ToolchainError

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no signals of this kind")
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's subreaper")


def _python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def _supervise(code: str, *, stdin: int = subprocess.DEVNULL) -> "subprocess.Popen[str]":
    """A process that supervises ``code``: supervise changes signals and ends all children."""
    outer = (
        "import os, sys\n"
        "from pyodide_offline.process import supervise\n"
        "status = supervise([sys.executable, '-c', sys.argv[1]], env=os.environ)\n"
        "print('status', status, flush=True)\n"
        "sys.exit(status)\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", outer, code],
        stdin=stdin,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # no terminal: Ctrl-C would not reach the child by itself
    )


def _line(child: "subprocess.Popen[str]") -> str:
    assert child.stdout
    return child.stdout.readline().strip()


# -- capture -----------------------------------------------------------------------------


def test_both_outputs_and_the_status_come_back(tmp_path: Path) -> None:
    code = (
        "import os, sys; print(os.getcwd()); print(os.environ['MARK'], file=sys.stderr);"
        "print(repr(sys.stdin.read())); sys.exit(7)"
    )
    done = process.capture(_python(code), env={**os.environ, "MARK": "ü"}, cwd=tmp_path)
    assert done.status == 7
    assert done.stdout.split() == [str(tmp_path), "''"]
    assert done.stderr.strip() == "ü"


def test_output_that_is_not_text_does_no_harm() -> None:
    done = process.capture(_python(r"import sys; sys.stdout.buffer.write(b'a\xff')"))
    assert done.stdout == "a\ufffd"


@pytest.mark.parametrize("missing", ["no-such-program", "folder", "text"])
def test_what_cannot_be_started_is_a_toolchain_error(tmp_path: Path, missing: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("not executable")
    with pytest.raises(ToolchainError, match="Cannot start"):
        process.capture([tmp_path / missing])
    with pytest.raises(ToolchainError) as caught:
        process.supervise([str(tmp_path / missing)], env=os.environ)
    assert caught.value.next_step


@posix
def test_what_does_not_end_is_ended_and_its_last_words_are_kept() -> None:
    # sh and not Python: it says its words long before the second is over, on any machine.
    command = ["sh", "-c", "echo password=s3cret stuck >&2; exec sleep 600"]
    with pytest.raises(ToolchainError, match="sh did not end within 1 s") as caught:
        process.capture(command, timeout=1)
    assert caught.value.why == "password=*** stuck"


def test_the_tail_of_an_output_is_short_and_without_secrets() -> None:
    output = "first\n\n  //h/:_authToken=s3cret \n \n  last\n\n"
    assert process.tail(output) == "last"
    assert process.tail(output, 2) == "//h/:_authToken=*** last"
    assert process.tail("") == ""
    assert len(process.tail("x" * 10_000)) == 400


# -- supervise ---------------------------------------------------------------------------


@pytest.mark.parametrize("status", [0, 1, 2, 77, 255])
def test_the_programs_status_is_passed_on(status: int) -> None:
    child = _supervise(f"import sys; sys.exit({status})")
    assert child.communicate()[0] == f"status {status}\n"
    assert child.returncode == status


@posix
@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGINT", "SIGSEGV"])
def test_a_programs_death_by_signal_is_128_and_the_signal(name: str) -> None:
    code = (
        "import os, resource, signal; resource.setrlimit(resource.RLIMIT_CORE, (0, 0));"
        f"signal.signal(signal.{name}, signal.SIG_DFL) if '{name}' != 'SIGKILL' else None;"
        f"os.kill(os.getpid(), signal.{name})"
    )
    child = _supervise(code)
    child.communicate()
    assert child.returncode == 128 + signal.Signals[name]


@posix
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_signals_are_passed_on_and_the_programs_own_answer_counts(name: str) -> None:
    code = (
        "import os, signal, sys\n"
        "def answer(*_):\n"
        "    os.write(1, b'heard\\n')\n"  # print would fail within the print below
        "    sys.exit(42)\n"
        f"signal.signal(signal.{name}, answer)\n"
        "print('ready', flush=True)\n"
        "while True: signal.pause()\n"
    )
    child = _supervise(code)
    assert _line(child) == "ready"
    child.send_signal(signal.Signals[name])
    assert child.communicate()[0] == "heard\nstatus 42\n"
    assert child.returncode == 42


@linux
@pytest.mark.parametrize("stubborn", [False, True], ids=["willing", "stubborn"])
def test_what_the_program_leaves_running_is_ended(stubborn: bool) -> None:
    """The orphan holds a pipe: its end is seen as the pipe's end, whatever its pid became."""
    orphan = (
        "import signal, sys;"
        + ("signal.signal(signal.SIGTERM, signal.SIG_IGN);" if stubborn else "")
        + "print('orphan', flush=True); signal.pause();"
        + "print('still here', flush=True); signal.pause()"
    )
    code = (
        "import subprocess, sys\n"
        f"left = subprocess.Popen([sys.executable, '-c', {orphan!r}], stdout=subprocess.PIPE,"
        " text=True, start_new_session=True)\n"
        "print(left.stdout.readline(), end='', flush=True)\n"
        "print(left.pid, flush=True)\n"
    )
    child = _supervise(code)
    assert _line(child) == "orphan"
    pid = int(_line(child))
    child.communicate()
    assert child.returncode == 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@linux
def test_a_program_that_leaves_nothing_is_not_waited_for() -> None:
    ended = threading.Event()
    child = _supervise("")
    watch = threading.Timer(1.5, ended.set)  # the patience with stubborn orphans is 3 s
    watch.start()
    child.communicate()
    watch.cancel()
    assert not ended.is_set()


def test_a_program_that_does_not_exist_is_named_with_a_next_step() -> None:
    with pytest.raises(ToolchainError, match="no program 'no-such-program'") as caught:
        process.supervise(["no-such-program"], env=os.environ)
    assert caught.value.next_step


@posix
def test_the_handlers_are_as_before_afterwards() -> None:
    code = (
        "import os, signal, sys\n"
        "from pyodide_offline.process import supervise\n"
        "numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]\n"
        "before = [signal.getsignal(n) for n in numbers]\n"
        "supervise([sys.executable, '-c', ''], env=os.environ)\n"
        "sys.exit(before != [signal.getsignal(n) for n in numbers])\n"
    )
    assert process.capture(_python(code)).status == 0


def test_the_child_does_not_inherit_an_ignored_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_in_foreground", lambda: True)
    code = "import signal; raise SystemExit(signal.getsignal(signal.SIGINT) == signal.SIG_IGN)"
    assert process.supervise([sys.executable, "-c", code], env=os.environ) == 0


def test_a_signal_before_the_child_is_there_reaches_it(monkeypatch: pytest.MonkeyPatch) -> None:
    popen = subprocess.Popen

    def early(*arguments: object, **named: object) -> object:
        os.kill(os.getpid(), signal.SIGTERM)
        return popen(*arguments, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "Popen", early)
    assert process.supervise(["sleep", "60"], env=os.environ) == 128 + signal.SIGTERM


# -- attend ------------------------------------------------------------------------------


def _attend(child: str) -> "subprocess.Popen[str]":
    """A process whose forked child runs ``child``; its attendant says when that has begun."""
    outer = (
        "import os, sys\n"
        "from pyodide_offline import process\n"
        "ready, go = os.pipe()\n"
        "attended, attends = os.pipe()\n"
        "if (pid := os.fork()) == 0:\n"
        f"    {child}\n"
        "def begun():\n"
        "    os.write(attends, b'x')\n"
        "    os.read(ready, 1)\n"
        "    print('begun', flush=True)\n"
        "status = process.attend(pid, begun)\n"
        "print('status', status, flush=True)\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", outer], stdout=subprocess.PIPE, text=True, start_new_session=True
    )


@posix
def test_a_child_that_supervises_gets_the_signals_and_its_status_is_returned() -> None:
    child = (
        "import signal; signal.signal(signal.SIGTERM, lambda *_: os._exit(7)); "
        "os.write(go, b'x'); signal.pause()"
    )
    with _attend(child) as attendant:
        assert _line(attendant) == "begun"
        attendant.send_signal(signal.SIGTERM)
        assert _line(attendant) == "status 7"


@linux
def test_what_a_killed_child_leaves_is_ended() -> None:
    child = (
        "import subprocess; left = subprocess.Popen(['sleep', '600']); "
        "print(left.pid, flush=True); os.read(attended, 1); os.write(go, b'x'); "
        "os.kill(os.getpid(), 9)"
    )
    with _attend(child) as attendant:
        pid = int(_line(attendant))
        assert _line(attendant) == "begun"
        assert _line(attendant) == "status 137"
        assert not Path(f"/proc/{pid}").exists()


@linux
def test_what_has_to_be_done_in_the_child_first_is_done_there(tmp_path: Path) -> None:
    code = (
        "import os, sys\n"
        "from pyodide_offline import process\n"
        "begin = lambda: os.chdir(sys.argv[1])\n"
        "sys.exit(process.supervise(['pwd'], env=os.environ, begin=begin))\n"
    )
    done = process.capture([sys.executable, "-c", code, str(tmp_path)])
    assert done.stdout.strip() == str(tmp_path)
