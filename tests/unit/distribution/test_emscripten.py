"""What Emscripten is to a package."""

from packaging.markers import Marker, default_environment

from pyodide_offline.distribution.emscripten import Target

TARGET = Target("3.14.2", "2026_0")


def test_platform_and_series():
    assert TARGET.platform == "pyemscripten_2026_0_wasm32"
    assert TARGET.series == "3.14"


def test_every_variable_of_a_marker_is_answered():
    assert set(TARGET.markers()) == set(default_environment())


def test_markers_are_those_of_the_browser():
    for text in ('sys_platform == "emscripten"', 'python_full_version >= "3.14.1"'):
        assert Marker(text).evaluate(TARGET.markers())
    assert not Marker('platform_system == "Linux"').evaluate(TARGET.markers())
