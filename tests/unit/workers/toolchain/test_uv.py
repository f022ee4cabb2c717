from pathlib import Path

import pytest

from pyodide_offline.errors import NetworkError, OfflineError, ProjectError, ToolchainError
from pyodide_offline.session import Session
from pyodide_offline.workers.toolchain import uv
from tests.unit.workers.toolchain.conftest import Program

# uv 0.13.9's own words.
UNCACHED = """\
  \u00d7 No solution found when resolving dependencies:
  ╰─▶ Because jinja2 was not found in the cache and demo depends on jinja2, we can conclude
      that your requirements are unsatisfiable.

      hint: Packages were unavailable because the network was disabled.
"""
NO_WHEELS = """\
  \u00d7 No solution found when resolving dependencies:
  ╰─▶ Because numpy==2.4.0 has no usable wheels and demo depends on numpy, we can
      conclude that your requirements are unsatisfiable.
"""
ONLY_WHEELS = """\
  \u00d7 No solution found when resolving dependencies:
  ╰─▶ Because pyyaml==6.0.4 has no wheels with a matching platform tag (e.g.,
      `pyemscripten_2026_0_wasm32`) and only pyyaml==6.0.4 is available, we can conclude
      that all versions of pyyaml cannot be used.
"""
UNREACHED = """\
error: Request failed after 3 retries in 8.0s
  cause: Failed to fetch: https://me:secret@index.test/simple/starlette/
  cause: client error (Connect)
  cause: dns error
"""


def test_settings_use_the_store(session: Session) -> None:
    assert uv.settings(session, Path("/pythons"), {}) == {
        "UV_CACHE_DIR": str(session.store.root / "v1" / "uv-cache"),
        "UV_PYTHON_INSTALL_DIR": "/pythons",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_OFFLINE": "1",
    }


def test_pips_index_is_uvs_unless_uv_has_its_own(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"index-url": "https://index.test/simple"}

    def index() -> str | None:
        return uv.settings(session, Path("/pythons"), told).get("UV_DEFAULT_INDEX")

    assert index() == "https://index.test/simple"
    pyproject = session.project / "pyproject.toml"
    pyproject.write_text('[[tool.uv.index]]\nurl = "https://own.test"\n')
    assert index() is None
    pyproject.write_text("[broken")
    assert index()
    config = Path(session.environ["HOME"]) / ".config" / "uv"
    config.mkdir(parents=True)
    (config / "uv.toml").write_text('index-url = "https://own.test"\n')
    assert index() is None
    (config / "uv.toml").unlink()
    monkeypatch.setenv("UV_INDEX_URL", "https://own.test")
    assert index() is None


def test_what_the_user_has_set_stays(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", "/theirs")
    assert "UV_CACHE_DIR" not in uv.settings(session, Path("/pythons"), {})
    monkeypatch.setenv("SSL_CERT_FILE", "/theirs.pem")
    assert uv.trust(session, {"cert": "/pip.pem"}) == {}


def test_trust_is_pips(session: Session) -> None:
    assert uv.trust(session, {"cert": "/pip.pem"}) == {"SSL_CERT_FILE": "/pip.pem"}
    assert uv.trust(session, {}) == {"UV_SYSTEM_CERTS": "1"}


def test_clean() -> None:
    assert uv.clean({"VIRTUAL_ENV": "x", "PYTHONPATH": "y", "HOME": "z"}) == {"HOME": "z"}


def test_missing_in_the_cache() -> None:
    error = uv.failure("do it", UNCACHED, offline=True)
    assert isinstance(error, OfflineError)
    assert "jinja2" in error.what


def test_no_wheels() -> None:
    error = uv.failure("find packages", NO_WHEELS, offline=False)
    assert isinstance(error, ProjectError)
    assert error.what.endswith("of numpy.")
    # An index without sources, as a kit's is.
    assert uv.failure("find", ONLY_WHEELS, offline=False).what.endswith("of pyyaml.")


def test_out_of_reach() -> None:
    error = uv.failure("find packages", UNREACHED, offline=False)
    assert isinstance(error, NetworkError)
    assert error.why.startswith("Request failed after 3 retries in 8.0s cause: Failed to fetch")
    assert "secret" not in str(error)


def test_anything_else(session: Session, program: Program) -> None:
    made = program("uv", "echo 'warning: so so' >&2; echo 'error: It broke' >&2; exit 2")
    with pytest.raises(ToolchainError) as raised:
        uv.run(made, ["pip"], environ=session.environ, cwd=session.project, doing="do it")
    assert raised.value.lines() == ["uv cannot do it.", "It broke"]


def test_words_without_a_mark() -> None:
    assert uv.meaningful("one\n\ntwo\nthree\nfour\n") == ["two", "three", "four"]
    assert uv.meaningful("") == []


def test_dependencies_that_no_index_has_are_the_projects_affair() -> None:
    said = "  No solution found when resolving dependencies:\n  Because nope was not found\n"
    error = uv.failure("find packages for this worker", said, offline=False)
    assert isinstance(error, ProjectError)
    assert "pyproject.toml" in error.next_step
