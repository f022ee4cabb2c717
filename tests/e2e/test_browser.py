"""Folders in Debian's Chromium, for which every name but 127.0.0.1 is unresolvable."""

import json
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Callable
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pyodide_offline.errors import ProjectError
from pyodide_offline.features.browser import folder
from tests.e2e.conftest import Machine
from tests.peers import sites
from tests.peers.sites import Site

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

CITIES = [
    ("Zürich", "Schweiz", 434000),
    ("København", "Danmark", 660000),
    ("Łódź", "Polska", 664000),
    ("東京", "日本", 13960000),
    ("Ærøskøbing", "Danmark", 940),
]
RIVERS = "name,length km,country\nRhein,1233,Schweiz\nWisła,1047,Polska\n"
API = """
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel

class Item(BaseModel):
    name: str
    price: float

app = FastAPI()

@app.get("/", response_class=HTMLResponse)
def index():
    return '<form method=post action=/form><input name=name value="Łódź"><button>Go</button></form>'

@app.get("/items/{price}")
async def item(price: float):
    return Item(name="東京", price=price)

@app.post("/form", response_class=HTMLResponse)
async def form(request: Request):
    return "<h1>" + (await request.body()).decode() + "</h1>"
"""
Browser = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def call(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Browser:
    """Call `pyodide-offline browser` in one folder for all tests."""
    place = tmp_path_factory.mktemp("a browser")
    with closing(sqlite3.connect(place / "own.db")) as database, database:
        database.execute("CREATE TABLE cities (id INTEGER PRIMARY KEY, name, country, people)")
        insert = "INSERT INTO cities (name, country, people) VALUES (?, ?, ?)"
        database.executemany(insert, CITIES)
    (place / "rivers.csv").write_text(RIVERS, encoding="utf-8")
    (place / "main.py").write_text(API, encoding="utf-8")

    def start(*arguments: str, status: int = 0) -> "subprocess.CompletedProcess[str]":
        done = machine.call(place, "browser", *arguments)
        assert done.returncode == status, done.stdout + done.stderr
        return done

    return start


@pytest.fixture(scope="session")
def home(call: Browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sites")


@pytest.fixture(scope="session")
def tables(call: Browser, home: Path) -> Path:
    """A folder with datasette's 1.0 alpha over an own database."""
    made = home / "tables"
    call("build", "--app", "datasette==1.0a41", "--db", "own.db", "-o", str(made))
    return made


@pytest.fixture(scope="session")
def small(call: Browser, home: Path) -> Path:
    """A folder with one package, which micropip can install from the folder's index."""
    made = home / "small"
    call("build", "click", "--micropip", "-o", str(made))
    return made


def test_datasette_shows_its_pages_and_asks_nobody_else(tables: Path, tmp_path: Path) -> None:
    with sites.served(tables) as site, sites.remote(b"a,b\n1,2\n", tmp_path) as (other, asked):
        site.open("/own/cities/4", f"?url={other}x.csv")  # a deep link; the other one is ignored
        assert asked == []
        assert "東京\t日本\t13960000" in site.text()
        home = site.visit("/")
        assert "5 rows in 1 table" in home
        assert "cities" in site.act(_click("own"))
        assert "Zürich" in site.act(_click("cities"))
        filtered = site.visit("/own/cities?country=Danmark&_sort_desc=people")
        assert filtered.index("København") < filtered.index("Ærøskøbing")
        assert "Zürich" not in filtered
        assert site.page.ask("document.title").startswith("own: cities: 2 rows")
        query = "/own/-/query?sql=select+name+from+nowhere"
        assert "no such table: nowhere" in site.visit(query)
        submit = "document.getElementById('view').contentDocument.querySelector('form.sql')"
        typed = f"{submit}.querySelector('textarea').value = 'select 6 * 7 as it'"
        assert "42" in site.act(f"{typed}, {submit}.requestSubmit()")
        csv = site.visit("/own/cities.csv?_size=max")
        assert csv.splitlines()[1:4] == [
            "1,Zürich,Schweiz,434000",
            "2,København,Danmark,660000",
            "3,Łódź,Polska,664000",
        ]
        assert json.loads(site.visit("/own/cities.json"))["rows"][3]["name"] == "東京"
        assert "Database not found" in site.visit("/nothing")
        site.visit("/own/cities")
        head = "document.getElementById('view').contentDocument.querySelector('header')"
        assert "gradient" in site.page.ask(f"getComputedStyle({head}).backgroundImage")
        site.page.screenshot(tmp_path / "cities.png")
        assert (tmp_path / "cities.png").read_bytes().startswith(b"\x89PNG")

        dropped = tmp_path / "my rivers.csv"
        dropped.write_text(RIVERS, encoding="utf-8")
        site.page.ask("document.body.dataset.shown = ''")
        site.page.drop("document.getElementById('file')", [dropped])
        site.page.wait("document.body.dataset.shown", sites.PATIENCE)
        assert "my rivers" in site.text()
        assert "Wisła\t1047\tPolska" in site.visit("/my%20rivers/my%20rivers")
        assert site.outside() == []
        assert [one.url for one in site.asked() if one.failed] == []


def _click(text: str) -> str:
    links = "[...document.getElementById('view').contentDocument.querySelectorAll('a')]"
    return f"{links}.find((one) => one.textContent.trim() === {json.dumps(text)}).click()"


def test_below_a_sub_path_and_with_the_server_stopped_on_the_second_visit(tables: Path) -> None:
    with sites.browser() as page:
        with sites.plain_server(tables) as url:
            site = Site(page, url)
            site.open("/own/cities")
            assert "Zürich" in site.text()
            assert page.wait("document.body.dataset.kept", sites.PATIENCE) == "yes"
            assert site.outside() == []
        site.page.requests.clear()
        site.open("/own/cities")
        assert "Zürich" in site.text()
        assert [one.url for one in site.asked() if not (one.cached or one.failed)] == []


def test_the_stable_datasette_runs_compiled_from_wheels_called_zip(
    call: Browser, home: Path, tmp_path: Path
) -> None:
    made = home / "stable"
    data = ["--db", "own.db", "--db", "rivers.csv"]
    options = ["--compile", "--wheel-suffix", ".zip", "--allow-remote", "--json"]
    done = call("build", "--app", "datasette==0.65.5", *data, *options, "-o", str(made))
    kinds = {one["name"]: one["kind"] for one in json.loads(done.stdout)["packages"]}
    assert (kinds["datasette"], kinds["markupsafe"]) == ("pure", "fallback")
    assert not {"pip", "setuptools"} & set(kinds)
    assert list(made.glob("packages/datasette-0.65.5-cp314-none-any.zip"))
    assert not list(made.rglob("*.whl"))
    with sites.served(made) as site:
        site.open("/own/cities?_sort_desc=people")
        assert site.text().index("東京") < site.text().index("Ærøskøbing")
        assert "no such table: x" in site.visit("/own?sql=select+*+from+x")
        assert "København" in site.visit("/own/cities.csv")
        assert "Wisła" in site.visit("/rivers/rivers/2")
        assert site.outside() == []
        with sites.remote(RIVERS.encode(), tmp_path) as (other, asked):
            site.open(query=f"?url={other}some/far%20rivers.csv")
            assert "Rhein" in site.visit("/far~20rivers/far~20rivers")
            assert asked == ["/some/far%20rivers.csv"]


def test_a_fastapi_app_with_pydantic_answers_in_the_page(call: Browser, home: Path) -> None:
    made = home / "api"
    done = call("build", "fastapi", "--app", "main.py", "--title", "Prices", "-o", str(made))
    assert "wasm, from the index" in done.stdout
    with sites.served(made) as site:
        site.open()
        assert site.page.ask("document.title") == "/"
        assert "name=%C5%81%C3%B3d%C5%BA" in site.act(
            "document.getElementById('view').contentDocument.querySelector('button').click()"
        )
        assert json.loads(site.visit("/items/1.5")) == {"name": "東京", "price": 1.5}
        assert "valid number" in site.visit("/items/dear")
        assert site.outside() == []


def test_what_only_the_full_folder_has_ends_the_build_with_its_names(
    call: Browser, home: Path
) -> None:
    done = call("build", "pandas", "-o", str(home / "none"), status=8)
    assert "only in the full folder" in done.stdout
    assert "Only Pyodide's full folder has: numpy, pandas." in done.stderr
    assert not (home / "none").exists()


def test_micropip_installs_from_the_folder(small: Path) -> None:
    with sites.served(small) as site:
        site.open()
        code = "import micropip\nawait micropip.install('click')\nimport click\nclick.__name__"
        assert site.run(code) == "click"
        assert "nowhere" in site.run("await micropip.install('nowhere')")
        assert site.outside() == []


PAGE = """<!doctype html>
<title>mine</title>
<script src="https://cdn.jsdelivr.net/pyodide/v0.26.2/full/pyodide.js"
  integrity="sha384-AAAA" crossorigin="anonymous"></script>
<script type="module">
import { version } from "https://cdn.jsdelivr.net/pyodide/v0.26.2/full/pyodide.mjs";
const pyodide = await loadPyodide({ indexURL: "https://cdn.jsdelivr.net/pyodide/v0.26.2/full/" });
await pyodide.loadPackage("click");
document.title = version + pyodide.runPython("import click; click.__name__");
</script>
"""


def test_a_page_that_was_written_for_a_cdn_runs_from_the_folder(
    small: Path, call: Browser, tmp_path: Path
) -> None:
    root = tmp_path / "pages"
    shutil.copytree(small, root / "site")
    (root / "mine.html").write_text(PAGE, encoding="utf-8")
    done = call("rewrite", str(root), "--folder", str(root / "site"))
    assert "3 addresses changed in 1 files, 0 left" in done.stdout
    assert (root / "mine.html.orig").read_text(encoding="utf-8") == PAGE
    with sites.plain_server(root) as url, sites.browser() as page:
        page.open(f"{url}mine.html")
        assert page.wait("document.title !== 'mine' && document.title", sites.PATIENCE) == (
            "314.0.7click"
        )
        hosts = {urlsplit(one.url).hostname for one in page.requests.values()}
        assert hosts == {"127.0.0.1"}


def test_verify_runs_a_folder_under_node_and_in_a_browser(small: Path, call: Browser) -> None:
    report = json.loads(call("verify", "--chromium", "--json", str(small)).stdout)
    assert [run["where"] for run in report["runs"]] == ["Node", "Chromium"]
    assert [run["left"] for run in report["runs"]] == [[], []]
    assert report["runs"][1]["requests"] > 10
    assert report["runs"][1]["size"] > 5_000_000
    assert report["faults"] == []


# Some that are needed early, some late, and one that nothing needs until it is asked for.
NAMED = [
    "index.html",
    "folder.json",
    "sw.js",
    "page/page.js",
    "page/page.css",
    "page/files.js",
    "page/worker.js",
    "pyodide/pyodide.mjs",
    "pyodide/pyodide.asm.mjs",
    "pyodide/pyodide.asm.wasm",
    "pyodide/python_stdlib.zip",
    "packages/pyodide-lock.json",
    "packages/micropip-",
    "simple/click/index.html",
]


def test_a_file_that_is_altered_or_missing_is_named_by_the_page_and_by_verify(
    small: Path, tmp_path: Path
) -> None:
    with sites.browser() as page:
        for number, start in enumerate(NAMED):
            # A folder of its own each, so that nothing of it is in the browser's cache.
            root = tmp_path / f"site {number}"
            shutil.copytree(small, root)
            for packed in root.rglob("*.br"):  # Python's own server sends none of them
                packed.unlink()
            names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*"))
            name = next(one for one in names if one.startswith(start))
            _spoil(root / name, missing=number % 2 == 1)
            assert name in _found(root)
            with sites.plain_server(root) as url:
                page.open("about:blank")
                page.open(f"{url.replace(' ', '%20')}index.html")
                shown = page.wait(
                    "(document.getElementById('error')?.textContent"
                    " || document.getElementById('warning')?.textContent"
                    " || (document.getElementById('late') && document.readyState === 'complete'"
                    "     && document.getElementById('late').textContent))",
                    sites.PATIENCE,
                )
            assert name in str(shown)


def _found(root: Path) -> str:
    """Return what verify finds before it runs anything."""
    try:
        return " ".join(fault.name for fault in folder.faults(folder.read(root)))
    except ProjectError as error:
        return str(error)


def _spoil(path: Path, *, missing: bool) -> None:
    if missing:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes() + b"\n")


def test_a_server_that_goes_silent_is_told_and_not_waited_for(small: Path, tmp_path: Path) -> None:
    silent, root = threading.Event(), tmp_path / "site"
    shutil.copytree(small, root)
    folder.seal(root, {**folder.read(root).about, "limit": 4})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = root / (self.path.split("?")[0].lstrip("/") or "index.html")
            if path.name == "python_stdlib.zip":
                silent.wait(300)
                return
            types = {".js": "text/javascript", ".mjs": "text/javascript", ".html": "text/html"}
            types |= {".wasm": "application/wasm", ".css": "text/css"}
            self.send_response(200)
            self.send_header("Content-Type", types.get(path.suffix, "application/octet-stream"))
            self.end_headers()
            self.wfile.write(path.read_bytes())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        with sites.browser() as page:
            said = Site(page, f"http://127.0.0.1:{server.server_address[1]}/").fails()
    finally:
        silent.set()
        server.shutdown()
        server.server_close()
    assert "Nothing happened for 4 s" in said
