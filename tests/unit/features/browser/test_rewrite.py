"""Pages that load Pyodide from a CDN."""

import json

import pytest

from pyodide_offline.errors import ProjectError
from pyodide_offline.features.browser import folder, rewrite
from tests.unit.features.browser.conftest import LOCK, entry

CDN = "https://cdn.jsdelivr.net/pyodide/v0.26.2/full/"


@pytest.fixture
def listed(tmp_path):
    root = tmp_path / "site"
    entries = {"click": entry("click", "8.1", tag="py3-none-any")}
    files = {
        "index.html": '<html data-folder="sha256-' + "A" * 43 + '=">',
        "pyodide.js": "",
        "pyodide.mjs": "",
        "pyodide/pyodide.asm.wasm": "",
        "packages/pyodide-lock.json": json.dumps({**LOCK, "packages": entries}),
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    folder.seal(root, {"runtime": "pyodide/", "packages": "packages/"})
    return rewrite.known(root)


def made(text, listed):
    return rewrite.rewritten(text, "page", "./site/", listed, rewrite.packages(listed))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f'import {{ x }} from "{CDN}pyodide.mjs"', 'import { x } from "./site/pyodide.mjs"'),
        (f"loadPyodide({{ indexURL: '{CDN}' }})", "loadPyodide({ indexURL: './site/' })"),
        (f'importScripts("{CDN}pyodide.js");', 'importScripts("./site/pyodide.js");'),
        (
            '<script src="//unpkg.com/pyodide@0.27.0/pyodide.js"></script>',
            '<script src="./site/pyodide.js"></script>',
        ),
        (
            f'<script crossorigin="anonymous" src="{CDN}pyodide.js" integrity="sha384-x">',
            '<script src="./site/pyodide.js">',
        ),
        ('"https://cdn.jsdelivr.net/npm/pyodide/pyodide.mjs"', '"./site/pyodide.mjs"'),
        (f"`{CDN}repodata.json`", "`./site/packages/pyodide-lock.json`"),
        (f"'{CDN}pyodide.asm.wasm'", "'./site/pyodide/pyodide.asm.wasm'"),
        (
            f"'{CDN}click-8.0-py3-none-any.whl'",
            "'./site/packages/click-8.1-py3-none-any.whl'",
        ),
    ],
)
def test_addresses_of_the_cdn_become_the_folders(listed, before, after):
    found = made(before, listed)
    assert found.text == after
    assert found.left == ()
    assert len(found.changes) == 1


def test_a_page_without_them_stays_as_it_is(listed):
    text = '<script src="own.js" integrity="sha384-x"></script> see https://pyodide.org/'
    assert made(text, listed) == rewrite.Rewritten(text, (), ())


def test_what_would_still_leave_is_told_with_its_line(listed):
    text = (
        '<link href="https://fonts.test/x.css">\n'
        f'fetch("{CDN}numpy-2.0-cp313.whl")\n'
        "micropip.install(['click>=8', 'numpy', 'https://x.test/y.whl'])\n"
        "pyodide.loadPackage('Pandas')\n"
        'importScripts("https://other.test/z.js")\n'
    )
    found = made(text, listed)
    assert found.text == text
    assert [(one.line, one.what) for one in found.left] == [
        (1, "https://fonts.test/x.css"),
        (2, f"{CDN}numpy-2.0-cp313.whl"),
        (3, "numpy"),
        (3, "https://x.test/y.whl"),
        (4, "Pandas"),
        (5, "https://other.test/z.js"),
    ]


def test_a_folder_of_pages_is_changed_each_from_its_place(listed, tmp_path):
    texts = {"a.html": f'"{CDN}pyodide.js"\r\n', "deep/er/b.mjs": f'"{CDN}pyodide.mjs"'}
    texts |= {"node_modules/c.js": f'"{CDN}"', "d.txt": f'"{CDN}"'}
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, newline="")
    rewrite.rewrite(tmp_path, listed, dry_run=True)
    assert (tmp_path / "a.html").read_bytes() == texts["a.html"].encode()
    for _ in range(2):
        rewrite.rewrite(tmp_path, listed)
    assert (tmp_path / "a.html").read_bytes() == b'"./site/pyodide.js"\r\n'
    assert (tmp_path / "deep/er/b.mjs").read_text() == '"../../site/pyodide.mjs"'
    assert (tmp_path / "a.html.orig").read_bytes() == texts["a.html"].encode()
    for name in ("node_modules/c.js", "d.txt"):
        assert (tmp_path / name).read_text() == texts[name]


def test_an_address_can_be_named(listed, tmp_path):
    page = tmp_path / "x.html"
    page.write_text(f'"{CDN}pyodide.js"')
    rewrite.rewrite(page, listed, at="/static/py/")
    assert page.read_text() == '"/static/py/pyodide.js"'


def test_a_folder_without_stand_ins_is_refused(listed):
    (listed.root / "pyodide.js").unlink()
    folder.seal(listed.root, listed.about)
    with pytest.raises(ProjectError, match=r"has no pyodide\.js"):
        rewrite.known(listed.root)
