"""Each kind of worker starts, and does what it is for, with no request to the network.

The workers are in ``workers/``, their configurations such as wrangler's own users have. D1
is in ``test_d1``. What does not go, for reasons that are not ours:

- A worker in Python that a JavaScript worker loads at run time: its flags are in that
  worker's code, where nothing may be added, and workerd checks the digest of the bundle it
  asks for. Only the official one will do, or the flag for development in that code.
- Django on ASGI answers, and logs a traceback after it: asgiref ends each request's
  executor in a thread, and Pyodide has no threads.
"""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyodide_offline.pytest_plugin import Starter
from pyodide_offline.pytest_plugin.server import Server
from tests.e2e.conftest import PROGRAM, Machine
from tests.peers import vendored
from tests.peers.websocket import connected
from tests.peers.wrangler import started

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

Worker = Callable[..., Path]
RUN = [PROGRAM, "run", "--offline", "--", "wrangler", "dev"]
WORKERS = Path(__file__).parent / "workers"
STARLETTE = ("starlette", "anyio", "idna", "typing-extensions")
FASTAPI = ("fastapi", "annotated-doc", "opentelemetry-api")
# Both have a compiled part, which PyPI has for native platforms only, and do without.
PURE = ("jinja2", "markupsafe", "pyyaml")
PYDANTIC = ("pydantic", "pydantic-core", "annotated-types", "typing-inspection")
DJANGO = ("django", "asgiref", "sqlparse")


@pytest.fixture(scope="module")
def packages(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages") / "all of them"
    named = ["fastapi", "django", "jinja2", "pyyaml"]
    return vendored.synced(folder, named, PROGRAM, machine.env)


@pytest.fixture(scope="module")
def worker(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Worker:
    """Copy a worker and give it its packages."""

    def copy(name: str, *more: str) -> Path:
        folder = tmp_path_factory.mktemp("kinds") / "a worker"
        shutil.copytree(WORKERS / name, folder)
        vendored.deal(packages, folder, *more)
        return folder

    return copy


@pytest.fixture
def start(start_worker: Starter, machine: Machine) -> Callable[[Path], Server]:
    def go(project: Path) -> Server:
        return start_worker(project, RUN, machine.env, timeout=120)

    return go


@pytest.fixture(scope="module")
def storage(
    worker: Worker, machine: Machine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("storage") / "log"
    with started(RUN, worker("storage"), env=machine.env, log=log) as server:
        yield server


def put(server: Server, path: str, text: str) -> str:
    answer = server.fetch(path, text.encode(), method="PUT")
    assert answer.status == 200, answer.text
    return answer.text


def until(server: Server, path: str, wanted: str, timeout: float = 30) -> None:
    """Wait for what happens after the answer: a queue, an alarm, a workflow."""
    deadline = time.monotonic() + timeout
    while (answer := server.get(path)) != wanted:
        assert time.monotonic() < deadline, answer
        time.sleep(0.05)


def test_kv_keeps_a_value(storage: Server) -> None:
    put(storage, "/kv/name", "Ada & Grace")
    assert storage.get("/kv/name") == "Ada & Grace"


def test_r2_keeps_a_file(storage: Server) -> None:
    put(storage, "/r2/file", "x" * 100_000)
    assert storage.get("/r2/file") == "100000 " + "x" * 100_000


def test_a_queue_brings_its_message(storage: Server) -> None:
    storage.fetch("/queue", b"a job")
    until(storage, "/kv/job", "a job")


def test_an_object_counts_in_sqlite_each_on_its_own(storage: Server) -> None:
    counted = [storage.get(f"/room/{name}/count") for name in ("a", "a", "b", "a")]
    assert counted == ["1", "2", "1", "3"]


def test_an_objects_alarm_goes_off(storage: Server) -> None:
    assert storage.get("/room/sleeper/woken") == "0"
    storage.post("/room/sleeper/alarm")
    until(storage, "/room/sleeper/woken", "1")


def test_an_object_speaks_over_a_websocket(storage: Server) -> None:
    storage.get("/room/talker/count")
    with connected(f"{storage.url}/room/talker/socket") as socket:
        socket.send("hello")
        assert socket.receive() == "hello after 1 visits"


def test_a_workflow_comes_to_its_end(storage: Server) -> None:
    number = storage.post("/order/10")
    until(storage, f"/order/{number}", json.dumps(["complete", 25]))


def test_cron_calls_the_handler(storage: Server) -> None:
    assert storage.get("/cdn-cgi/handler/scheduled?cron=1+2+*+*+*") == "ok"
    assert storage.get("/kv/cron") == "1 2 * * *"


def test_assets_are_served_and_bound(storage: Server) -> None:
    page = (WORKERS / "storage" / "public" / "page.html").read_text()
    assert storage.get("/page") == page
    assert storage.get("/asset") == page


def test_fastapi_checks_what_comes_in_with_pydantic(
    worker: Worker, start: Callable[[Path], Server]
) -> None:
    server = start(worker("fastapi", *STARLETTE, *FASTAPI, *PYDANTIC, *PURE))
    assert server.get("/page/%3CAda%3E") == "<p>Hello, &lt;Ada&gt;!</p>"
    # The wheel for wasm, not the first release, which holds no code.
    assert json.loads(server.get("/core")) > "2."
    sent = {"name": "Ada", "amount": 21}
    for amount, status in ((21, 200), (0, 422)):
        body = json.dumps({**sent, "amount": amount}).encode()
        answer = server.fetch("/items/7", body, headers={"Content-Type": "application/json"})
        assert answer.status == status, answer.text
        if status == 200:
            assert json.loads(answer.text) == {"number": 7, "name": "Ada", "doubled": 42}
        else:
            assert "greater than 0" in answer.text


def test_django_answers_with_template_and_form(
    worker: Worker, start: Callable[[Path], Server]
) -> None:
    server = start(worker("django", *DJANGO))
    assert server.get("/hello/%3CAda%3E") == "<p>Hello, &lt;Ada&gt;!</p>"
    assert json.loads(server.post("/order", amount="3")) == {"amount": 3}
    assert server.fetch("/order", b"amount=0").status == 400


def test_starlettes_websocket_speaks_and_closes(
    worker: Worker, start: Callable[[Path], Server]
) -> None:
    server = start(worker("websocket", *STARLETTE))
    with connected(f"{server.url}/echo/me") as socket:
        for text in ("hello", "again"):
            socket.send(text)
            assert socket.receive() == f"{text} by me"
        socket.send("enough")
        assert socket.receive() == 4000


def test_a_service_of_another_dev_server_is_asked_and_called(
    worker: Worker, start: Callable[[Path], Server]
) -> None:
    start(worker("pair/back"))
    front = start(worker("pair/front"))
    assert front.get("/") == "front was told: back, asked for something"
    assert front.get("/call") == "front was told 42"


def test_a_python_worker_loaded_at_run_time(
    worker: Worker, start: Callable[[Path], Server]
) -> None:
    server = start(worker("loader"))
    assert server.get("/") == "JavaScript"
    if "assembled from npm" not in server.log:
        assert server.get("/plain").startswith("loaded at run time, Python 3.14")
        return
    assert server.get("/development") == "loaded at run time, Python 3.14.2"
    assert server.fetch("/plain").status == 500
    assert "loader loads at run time get only the official bundle" in server.log
