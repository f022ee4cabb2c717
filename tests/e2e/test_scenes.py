"""`doctor` in scenes that are data (tests/scenes/*.yaml): its verdict, and what it blames."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from pyodide_offline.features.doctor.catalogue import CHECKS
from pyodide_offline.features.doctor.examination import schema
from tests.e2e.conftest import PROGRAM
from tests.peers import outside, scenery

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("counting_network")]

FOLDER = Path(__file__).resolve().parents[1] / "scenes"
SCENES: list[dict[str, Any]] = [
    {**one, "file": file.stem}
    for file in sorted(FOLDER.glob("*.yaml"))
    for one in yaml.safe_load(file.read_text(encoding="utf-8"))
]
KNOWN = {
    "scene", "file", "network", "environ", "files", "before", "background", "arguments", "expect",
}  # fmt: skip
EXPECTED = {
    "word", "fails", "warns", "passes", "skips", "sentence", "way", "says", "hides", "status",
    "seconds", "packets", "connects",
}  # fmt: skip


@pytest.fixture(scope="session")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("authorities")
    outside.authorities(folder, scenery.SITES)
    return folder


@pytest.mark.parametrize("scene", SCENES, ids=[f"{one['file']}: {one['scene']}" for one in SCENES])
def test_scene(scene: dict[str, Any], tmp_path: Path, authorities: Path) -> None:
    seen = scenery.play(scene, tmp_path / "a scene", authorities, PROGRAM)
    said = json.dumps(seen.document, ensure_ascii=False)
    shown = _shown(seen)
    expect: Mapping[str, Any] = scene["expect"]
    verdict = seen.document["verdict"]
    jsonschema.validate(seen.document, json.loads(schema()))
    failed = seen.ids("fail", "timeout")
    assert (verdict["word"], failed) == (expect["word"], set(expect["fails"])), shown
    if "warns" in expect:
        warned = seen.ids("warn")
        assert set(expect["warns"]) <= warned, shown
        assert expect["warns"] or not warned, shown
    for key, state in (("passes", "pass"), ("skips", "skip")):
        assert set(expect.get(key, ())) <= seen.ids(state), shown
    for key, text in (("sentence", verdict["sentence"]), ("way", verdict["way"]), ("says", said)):
        assert re.search(expect.get(key, ""), text), shown
    for secret in expect.get("hides", ()):
        assert secret not in seen.output
    assert seen.status == expect.get("status", int(bool(failed))), shown
    assert seen.seconds <= expect.get("seconds", 10) * _patience(), shown
    connects = sum(one.startswith("CONNECT ") for one in seen.asked)
    assert connects == expect.get("connects", connects), f"{seen.asked}\n{shown}"
    assert seen.packets == expect.get("packets", seen.packets), shown


def test_scenes_are_written_as_their_readme_says() -> None:
    names = [one["scene"] for one in SCENES]
    assert len(set(names)) == len(names)
    for one in SCENES:
        assert set(one) <= KNOWN, one["scene"]
        assert {"word", "fails"} <= set(one["expect"]) <= EXPECTED, one["scene"]


def test_what_scenes_name_are_checks_and_each_of_the_network_goes_wrong_in_one() -> None:
    def named(*keys: str) -> set[str]:
        return {name for one in SCENES for key in keys for name in one["expect"].get(key, ())}

    known = {one.id for one in CHECKS}
    unknown = named("fails", "warns", "passes", "skips") - known
    assert not unknown, f"no such checks: {sorted(unknown)}"
    # What is idle beside another way is skipped when it fails.
    network = {one.id for one in CHECKS if one.remote} - {"dns.https-proxy"}
    assert network <= named("fails", "warns")


def _shown(seen: scenery.Seen) -> str:
    """Return what a person would want to see of a scene that went otherwise."""
    verdict = seen.document["verdict"]
    lines = [f"{verdict['word']}: {verdict['sentence']}", verdict["way"]]
    for one in seen.document["findings"]:
        lines.append(f"{one['state']} {one['id']} {one['summary']} {one['cause']}")
    return "\n".join([*lines, f"{seen.seconds:.1f} s, {seen.packets} packets outside"])


def _patience() -> float:
    """Return by what the limits are multiplied: on a machine with other work all is slower."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
