import re
from pathlib import Path

import pytest

from pyodide_offline.features.doctor import check as check_module
from pyodide_offline.features.doctor.catalogue import CHECKS
from pyodide_offline.features.doctor.graph import closure
from pyodide_offline.features.doctor.repairs import REPAIRS

IDS = [one.id for one in CHECKS]
# Checks of parts that are named before they exist would go unnoticed.
EXPECTED_ELSEWHERE = {"bundle.ready"}


def test_ids_are_stable_words_and_unique() -> None:
    assert len(set(IDS)) == len(IDS)
    for name in IDS:
        assert re.fullmatch(r"[a-z0-9]+\.[a-z0-9]+(-[a-z0-9]+)*", name), name


@pytest.mark.parametrize("check", CHECKS, ids=IDS)
def test_what_a_check_names_is_there(check) -> None:
    named = {*check.needs, *check.after, *check.spared_by, *check.unneeded_with}
    assert named <= set(IDS) | EXPECTED_ELSEWHERE
    assert check.title.endswith("?")
    assert 0 < check.seconds < 10


def test_the_closure_of_all_is_all() -> None:
    assert list(closure(CHECKS, IDS)) == list(CHECKS)


def test_no_check_waits_for_itself() -> None:
    done: set[str] = set()
    waiting = {one.id: {*one.needs, *one.after} & set(IDS) for one in CHECKS}
    while ready := [name for name, before in waiting.items() if before <= done]:
        done.update(ready)
        for name in ready:
            del waiting[name]
    assert not waiting


def test_repairs_that_checks_name_are_on_the_list() -> None:
    folder = Path(check_module.__file__).parent
    named = {
        name
        for file in folder.glob("*.py")
        for name in re.findall(r"""\brepair="([a-z-]+)\"""", file.read_text(encoding="utf-8"))
    }
    assert named
    assert named <= set(REPAIRS)
