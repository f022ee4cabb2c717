"""The description of what a mirror answers."""

import json
import re

from pyodide_offline.features.mirror import openapi


def test_each_path_names_its_parameters_and_answers():
    document = openapi.document()
    assert json.loads(json.dumps(document)) == document
    for path, what in document["paths"].items():
        named = {one["name"] for one in what["parameters"] if one["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path))
        assert what.keys() == {"parameters", "get", "head"}
        for method in ("get", "head"):
            answers = what[method]["responses"]
            assert "200" in answers
            assert "500" not in answers  # a fault of ours is no part of the interface
        assert all("content" not in one for one in what["head"]["responses"].values())


def test_what_is_handed_out_in_parts_says_so():
    paths = openapi.document()["paths"]
    assert "206" in paths["/sha256/{sha256}"]["get"]["responses"]
    assert "206" not in paths["/healthz"]["get"]["responses"]
