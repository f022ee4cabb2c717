"""What `run` would set, told to those who start their commands themselves."""

from dataclasses import replace

import pytest

from pyodide_offline import paths
from pyodide_offline.features import variables as feature
from pyodide_offline.workers import advice, environment, shim, supply
from pyodide_offline.workers.probe import Want
from pyodide_offline.workers.supply import Supplied
from pyodide_offline.workers.toolchain import chain

PYTHON = 'name = "w"\nmain = "src/entry.py"\ncompatibility_date = "2026-11-17"\n'
PYTHON += 'compatibility_flags = ["python_workers"]\n'


class FakeChain:
    """A toolchain of nothing: the real one is asked in tests/e2e."""

    wrangler = type("W", (), {"workerd": "/w/workerd"})()
    node = type("N", (), {"npm": ("npm",)})()
    pywrangler = None


@pytest.fixture
def asked(session, monkeypatch):
    """What was asked of the chain and of the supply."""
    seen: list[tuple[object, ...]] = []

    def get(_session, *, pywrangler, version=None):
        seen.append(("chain", pywrangler, version))
        return FakeChain()

    def supplying(session, binary, date, flags, *, policy, npm, python):
        seen.append(("supply", date, policy, python))
        made = {"pyodide": "314.0.6", "python": "3.14.2"}

        def produce(target):
            target.write_bytes(b"bundle")
            return made

        return Supplied(Want("x", "", None), session.store.fill("bundle", "b", produce), "dev", ())

    def of(session, found, binary):
        return {**session.environ, "PATH": "/tools", shim.WORKERD: str(binary), "A_URL": SECRET}

    monkeypatch.setattr(chain, "get", get)
    monkeypatch.setattr(supply, "supply", supplying)
    monkeypatch.setattr(supply, "choosing", lambda *_: ())
    monkeypatch.setattr(environment, "of", of)
    monkeypatch.setattr(advice, "of", lambda *_: ["It lacks ssl."])
    return seen


SECRET = "https://ada:s3cret@proxy.example:8080"


def test_only_what_differs_is_told(session, asked):
    environ = {"HTTPS_PROXY": SECRET, "HOME": "/h", "PATH": "/bin"}
    found = feature.variables(replace(session, environ=environ), environ, lambda _: None)
    assert set(found.values) == {
        "PATH",
        shim.WORKERD,
        paths.CACHE_VARIABLE,
        paths.STORE_VARIABLE,
    }
    assert found.values[paths.STORE_VARIABLE] == str(session.store.root)


def test_a_value_with_a_password_is_kept_back(session, asked):
    found = feature.variables(session, session.environ, lambda _: None)
    assert found.kept_back == ("A_URL",)
    assert "s3cret" not in str(found.values)


def test_the_bundle_is_brought_and_the_shim_told_of_the_wishes(session, asked):
    (session.project / "wrangler.toml").write_text(PYTHON)
    said: list[str] = []
    found = feature.variables(session, session.environ, said.append, policy="npm", python="3.13")
    assert asked == [("chain", False, None), ("supply", "2026-11-17", "npm", "3.13")]
    assert found.values[supply.POLICY_VARIABLE] == "npm"
    assert found.values[supply.PYTHON_VARIABLE] == "3.13"
    assert said[0].startswith("Python 3.14.2, Pyodide 314.0.6")
    assert said[1] == "It lacks ssl."


def test_where_there_is_no_python_worker_nothing_is_supplied(session, asked):
    (session.project / "wrangler.toml").write_text(PYTHON.replace("entry.py", "index.js"))
    found = feature.variables(session, session.environ, lambda _: None, wrangler="4.1.0")
    assert asked == [("chain", False, "4.1.0")]
    assert supply.POLICY_VARIABLE not in found.values


def test_a_mirrors_token_is_kept_back(session, asked):
    environ = {**session.environ, "PYODIDE_OFFLINE_MIRROR_TOKEN": "abcdef"}
    found = feature.variables(replace(session, environ=environ), {}, lambda _: None)
    assert "PYODIDE_OFFLINE_MIRROR_TOKEN" in found.kept_back
    assert "abcdef" not in str(found.values)
