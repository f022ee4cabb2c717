import json

from pyodide_offline.network.proxies import parse
from pyodide_offline.network.remembered import LIMIT, SECONDS, Remembered
from pyodide_offline.store import Store

PROXY = parse("http://me:s3cret@proxy.corp:3128", "HTTPS_PROXY")
HOST = "files.example.com"


def test_a_way_is_known_on_its_own_network_only(store: Store) -> None:
    Remembered(store, "192.168.0.1 02:00", [PROXY]).keep(HOST, "k")
    assert Remembered(store, "192.168.0.1 02:00", [PROXY]).find(HOST) == "k"
    assert Remembered(store, "192.168.0.1 02:00", [PROXY]).find("other.example.com") == ""
    assert Remembered(store, "192.168.0.1 02:99", [PROXY]).find(HOST) == ""
    assert Remembered(store, "192.168.0.1 02:00", []).find(HOST) == ""


def test_after_a_day_it_is_forgotten_and_a_clock_set_back_does_not_keep_it(store: Store) -> None:
    now = 1000.0
    memory = Remembered(store, "g", [], clock=lambda: now)
    memory.keep(HOST, "k")
    now += SECONDS - 1
    assert memory.find(HOST) == "k"
    now += 2
    assert memory.find(HOST) == ""
    now = 0.0
    assert memory.find(HOST) == ""


def test_it_can_be_forgotten(store: Store) -> None:
    memory = Remembered(store, "g", [])
    memory.forget(HOST)
    memory.keep(HOST, "k")
    memory.forget(HOST)
    assert memory.find(HOST) == ""


def test_nothing_in_it_can_be_read_and_it_does_not_grow(store: Store) -> None:
    memory = Remembered(store, "192.168.0.1 02:00", [PROXY])
    for number in range(LIMIT + 5):
        memory.keep(f"{number}.{HOST}", "k")
    assert memory.find(f"{LIMIT + 4}.{HOST}") == "k"
    (file,) = (store.root / "v1" / "memos" / "ways").iterdir()
    text = f"{file.name} {file.read_text(encoding='utf-8')}"
    assert len(json.loads(file.read_text(encoding="utf-8"))) == LIMIT
    assert not any(word in text for word in ("s3cret", "proxy", "192.168", "02:00", "example"))


def test_a_damaged_memory_is_none(store: Store) -> None:
    memory = Remembered(store, "g", [])
    memory.keep(HOST, "k")
    (file,) = (store.root / "v1" / "memos" / "ways").iterdir()
    for text in ("[]", "{", '{"x": 1}', '{"x": ["k", "soon"]}'):
        file.write_text(text, encoding="utf-8")
        assert memory.find(HOST) == ""
