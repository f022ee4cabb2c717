import pytest

from pyodide_offline.workers.toolchain import semver


@pytest.mark.parametrize(
    ("version", "wanted"),
    [
        ("22.12.0", ">=22.12.0"),
        ("v24.19.0", ">=22.12.0"),
        ("24.1.0", "*"),
        ("24.1.0", ""),
        ("20.19.1", "^20.19.0 || >=22.12.0"),
        ("22.12.0", "^20.19.0||>=22.12.0"),
        ("20.3.1", "20"),
        ("20.3.1", "20.x"),
        ("20.3.1", "20.3"),
        ("20.3.1", "=20.3.1"),
        ("20.3.1", "~20.3.0"),
        ("20.3.1", "18 - 20"),
        ("20.3.1", "18.0.0 - 20.3.1"),
        ("20.3.1", ">=18 <21"),
        ("20.3.1", ">= 18.0.0 < 21"),
        ("21.0.0", ">20"),
        ("20.9.9", "<=20"),
        ("0.3.4", "^0.3.1"),
        ("0.0.3", "^0.0.3"),
    ],
)
def test_inside(version: str, wanted: str) -> None:
    assert semver.satisfies(version, wanted)


@pytest.mark.parametrize(
    ("version", "wanted"),
    [
        ("20.20.2", ">=22.12.0"),
        ("22.11.9", ">=22.12.0"),
        ("21.9.0", "^20.19.0 || >=22.12.0"),
        ("21.0.0", "20"),
        ("20.4.0", "~20.3.0"),
        ("21.0.0", "18 - 20"),
        ("20.3.2", "18.0.0 - 20.3.1"),
        ("21.0.0", ">=18 <21"),
        ("20.9.9", ">20"),
        ("21.0.0", "<=20"),
        ("0.4.0", "^0.3.1"),
        ("0.0.4", "^0.0.3"),
        ("24.0.0-rc.1", ">=22.12.0"),
        ("24.0.0", "latest"),
        ("nonsense", "*"),
        ("24.0", "*"),
    ],
)
def test_outside(version: str, wanted: str) -> None:
    assert not semver.satisfies(version, wanted)


@pytest.mark.parametrize(
    ("wanted", "least"),
    [(">=22.12.0", "22.12.0"), (" >= 18 ", "18"), ("^20", None), (">=18 <21", None), ("*", None)],
)
def test_minimum(wanted: str, least: str | None) -> None:
    assert semver.minimum(wanted) == least
