"""Where a project's workerd wants to go."""

from types import SimpleNamespace

import pytest

from pyodide_offline.errors import ProjectError
from pyodide_offline.network.targets import Target
from pyodide_offline.workers import origin, probe
from pyodide_offline.workers.probe import Want
from pyodide_offline.workers.toolchain import chain


def test_a_project_tells_where_its_workerd_wants_to_go(session, monkeypatch):
    text = 'main = "a.py"\ncompatibility_date = "2026-11-17"\n'
    (session.project / "wrangler.toml").write_text(text)
    found = SimpleNamespace(wrangler=SimpleNamespace(workerd="workerd"))
    monkeypatch.setattr(chain, "get", lambda *_, **__: found)
    want = Want("314.0.6_1", "https://a.example/pyodide_1.capnp.bin", None)
    monkeypatch.setattr(probe, "want", lambda *_: want)
    assert origin.targets(session, "tunnel") == [Target("a.example", 443)]
    monkeypatch.setattr(probe, "want", lambda *_: Want("314.0.6_1", "", None))
    with pytest.raises(ProjectError, match="does not tell"):
        origin.targets(session, "tunnel")


@pytest.mark.parametrize("main", [None, "a.js"])
def test_without_a_python_worker_a_target_has_to_be_named(session, main):
    if main:
        text = f'main = "{main}"\ncompatibility_date = "2026-11-17"\n'
        (session.project / "wrangler.toml").write_text(text)
    with pytest.raises(ProjectError) as caught:
        origin.targets(session, "tunnel")
    assert "--target HOST:443" in caught.value.next_step
