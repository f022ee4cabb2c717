"""Folders found without a library are the ones that the rest of the program uses."""

import os
from pathlib import Path

from platformdirs import user_cache_path

from pyodide_offline import paths
from pyodide_offline.kits import places


def test_kits_lie_in_the_store_of_the_rest() -> None:
    environ = dict(os.environ)
    environ.pop(paths.STORE_VARIABLE, None)
    default = user_cache_path("pyodide-offline", appauthor=False)
    assert places.kits_dir(environ) == default / "v1" / "kits"
    named = {**environ, paths.STORE_VARIABLE: "/one"}
    assert places.kits_dir(named) == Path("/one/v1/kits")
    assert places.kits_dir(named, Path("/two")) == Path("/two/v1/kits")


def test_what_was_seen_lies_outside_the_store() -> None:
    assert places.trust_file({"HOME": "/h"}).is_relative_to("/h")
    assert not places.trust_file({"HOME": "/h"}).is_relative_to(places.kits_dir({"HOME": "/h"}))
    assert places.trust_file({"PYODIDE_OFFLINE_STATE_DIR": "/s"}) == Path("/s/kit-trust.json")
    relative = {"HOME": "/h", "XDG_STATE_HOME": "relative"}
    assert places.trust_file(relative) == places.trust_file({"HOME": "/h"})
