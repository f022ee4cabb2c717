"""A schema is tried where it does no harm."""

import pytest

from pyodide_offline import process
from pyodide_offline.errors import WorkerdError
from pyodide_offline.workers import schema
from tests.peers import miniflare


def test_a_good_schema_passes_and_is_remembered(store, monkeypatch):
    assert schema.checked(store, miniflare.SCHEMA) == miniflare.SCHEMA
    monkeypatch.setattr(process, "capture", None)
    assert schema.checked(store, miniflare.SCHEMA) == miniflare.SCHEMA


@pytest.mark.parametrize("text", ["garbage {", '@0xe6afd26682091c01;\nusing X = import "/no";\n'])
def test_a_schema_that_would_end_the_process_is_an_error(store, tmp_path, text):
    (tmp_path / "workerd.capnp").write_text(text)
    with pytest.raises(WorkerdError, match="cannot be read") as caught:
        schema.checked(store, tmp_path / "workerd.capnp")
    assert caught.value.why


def test_a_changed_schema_is_tried_again(store, tmp_path):
    path = tmp_path / "workerd.capnp"
    path.write_text(miniflare.SCHEMA.read_text())
    schema.checked(store, path)
    path.write_text("garbage {")
    with pytest.raises(WorkerdError):
        schema.checked(store, path)


def test_no_schema_at_all_is_an_error(store, tmp_path):
    with pytest.raises(WorkerdError, match="is not there"):
        schema.checked(store, tmp_path / "none")


def test_a_folder_in_its_place_is_an_error(store, tmp_path):
    with pytest.raises(WorkerdError):
        schema.checked(store, tmp_path)
