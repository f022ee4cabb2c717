import asyncio
import subprocess
import sys
import threading
from pathlib import Path

from pyodide_offline.features.mirror.turnstile import Turnstile

_ADD = """
import sys
from pathlib import Path
from pyodide_offline.features.mirror.turnstile import Turnstile
turnstile, count = Turnstile(Path(sys.argv[1])), Path(sys.argv[2])
for _ in range(100):
    with turnstile.passing("one"):
        count.write_text(str(int(count.read_text()) + 1))
"""


def test_threads_and_processes_pass_one_after_the_other(tmp_path: Path) -> None:
    count = tmp_path / "count"
    count.write_text("0")
    turnstile = Turnstile(tmp_path)

    def add() -> None:
        for _ in range(100):
            with turnstile.passing("one"):
                count.write_text(str(int(count.read_text()) + 1))

    command = [sys.executable, "-c", _ADD, str(tmp_path), str(count)]
    children = [subprocess.Popen(command) for _ in range(2)]
    threads = [threading.Thread(target=add) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [child.wait(60) for child in children] == [0, 0]
    assert count.read_text() == "500"


def test_tasks_pass_one_after_the_other_and_hold_no_thread(tmp_path: Path) -> None:
    turnstiles = [Turnstile(tmp_path) for _ in range(2)]
    inside = 0

    async def one(number: int) -> None:
        nonlocal inside
        async with turnstiles[number % 2].passed("one"):
            inside += 1
            # More tasks than there are threads: one that waits must not need one.
            await asyncio.to_thread(tmp_path.exists)
            assert inside == 1
            inside -= 1

    async def play() -> None:
        async with asyncio.timeout(30):
            await asyncio.gather(*(one(number) for number in range(60)))

    asyncio.run(play())


def test_the_lock_files_are_few(tmp_path: Path) -> None:
    turnstile = Turnstile(tmp_path / "locks")
    (tmp_path / "locks").mkdir()
    for number in range(300):
        with turnstile.passing(f"key {number}"):
            pass
    assert len(list((tmp_path / "locks").iterdir())) <= 64
