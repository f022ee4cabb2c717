import json
from pathlib import Path

import jsonschema
import pytest

from pyodide_offline.features.doctor import examination
from pyodide_offline.features.doctor.check import Check
from pyodide_offline.features.doctor.finding import Finding, failed, passed, warned
from pyodide_offline.session import Session

CHECKS = (
    Check("a.a", "Is it?", lambda _: passed("yes", file=Path("/x"), ports={443})),
    Check("a.b", "Is that?", lambda _: warned("hm"), needs=("a.a",)),
    Check(
        "b.a",
        "Is this?",
        lambda _: failed(
            "http://me:hunter2@proxy refuses.",
            fix="export HTTPS_PROXY=http://me:hunter2@proxy",
            blame="proxy-auth",
            login={"url": "http://me:hunter2@proxy"},
        ),
    ),
)


def test_the_document_fits_its_schema_and_holds_no_password(session: Session) -> None:
    seen = examination.examine(session, checks=CHECKS)
    made = examination.document(seen)
    jsonschema.validate(made, json.loads(examination.schema()))
    text = json.dumps(made)
    assert "hunter2" not in text
    assert made["verdict"]["word"] == "proxy-auth"
    assert made["status"] == 1
    assert made["findings"][0]["evidence"] == {"file": "/x", "ports": [443]}


def test_the_schema_refuses_what_is_not_in_it(session: Session) -> None:
    made = examination.document(examination.examine(session, checks=CHECKS))
    schema = json.loads(examination.schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    made["findings"][0]["state"] = "perhaps"
    with pytest.raises(jsonschema.ValidationError, match="perhaps"):
        jsonschema.validate(made, schema)


def test_the_status_counts_failures_and_strictly_warnings_too(session: Session) -> None:
    def status(*wanted: str, strict: bool = False) -> int:
        return examination.examine(session, only=wanted, checks=CHECKS).status(strict=strict)

    assert status("a.a") == 0
    assert status("a.b") == 0
    assert status("a.b", strict=True) == 1
    assert status("b.a") == 1


def test_only_brings_what_it_needs_and_without_leaves_out(session: Session) -> None:
    seen = examination.examine(session, only=["a.b"], without=["b"], checks=CHECKS)
    assert [one.id for one in seen.findings] == ["a.a", "a.b"]
    seen = examination.examine(session, without=["a", "b.a"], checks=CHECKS)
    assert {one.summary for one in seen.findings} == {"Left out by --skip."}
    with pytest.raises(KeyError):
        examination.examine(session, without=["none"], checks=CHECKS)


def test_findings_are_heard_as_they_come(session: Session) -> None:
    heard: list[Finding] = []
    examination.examine(session, only=["a.a"], heard=heard.append, checks=CHECKS)
    assert [one.id for one in heard] == ["a.a"]
