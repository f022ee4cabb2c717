import re

import pytest

from pyodide_offline.features.doctor.catalogue import CHECKS
from pyodide_offline.features.doctor.graph import closure

IDS = [one.id for one in CHECKS]
# Checks of parts that are named before they exist would go unnoticed.
EXPECTED_ELSEWHERE = {"bundle.ready", "registry.npm"}


def test_ids_are_stable_words_and_unique() -> None:
    assert len(set(IDS)) == len(IDS)
    for name in IDS:
        assert re.fullmatch(r"[a-z0-9]+\.[a-z0-9]+(-[a-z0-9]+)*", name), name


@pytest.mark.parametrize("check", CHECKS, ids=IDS)
def test_what_a_check_needs_is_there_and_comes_before_it(check) -> None:
    before = IDS[: IDS.index(check.id)]
    assert {*check.needs, *check.after} <= set(before)
    assert set(check.spared_by) <= set(IDS) | EXPECTED_ELSEWHERE
    assert check.title.endswith("?")
    assert 0 < check.seconds < 10


def test_the_closure_of_all_is_all() -> None:
    assert list(closure(CHECKS, IDS)) == list(CHECKS)
