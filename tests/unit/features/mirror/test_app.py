"""Paths to routes, and nothing else."""

import pytest

from tests.peers.fronts import ask, front, played


@pytest.mark.parametrize(
    "path",
    ["/x", "/npm", "/simple", "/files", "/etc/passwd", "/npm/../../etc/passwd", "//", "/x/y"],
)
def test_nothing_lies_there(session, tmp_path, path):
    async def scene():
        async with front(session, tmp_path) as made:
            assert (await ask(made.app, path)).status in (400, 404)

    played(scene)


def test_only_reading(session, tmp_path):
    async def scene():
        async with front(session, tmp_path) as made:
            for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE"):
                assert (await ask(made.app, "/npm/a", method=method)).status == 405

    played(scene)
