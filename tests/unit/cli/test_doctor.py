import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner, Result

from pyodide_offline.cli.doctor import doctor
from pyodide_offline.features.doctor import catalogue, examination
from pyodide_offline.features.doctor.check import Check
from pyodide_offline.features.doctor.finding import Finding, failed, passed, warned
from pyodide_offline.features.doctor.observed import Observed

SCHEMA = json.loads(examination.schema())


def always(finding: Finding) -> Callable[[Observed], Finding]:
    return lambda _: finding


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that runs the command on checks that answer what is wanted."""

    def run(findings: dict[str, Finding], *arguments: str) -> Result:
        checks = tuple(Check(name, f"{name}?", always(one)) for name, one in findings.items())
        monkeypatch.setattr(catalogue, "CHECKS", checks)
        places = ["--store-dir", str(tmp_path / "store"), "--cache-dir", str(tmp_path / "cache")]
        return CliRunner().invoke(
            doctor, [*places, *arguments, str(tmp_path)], standalone_mode=False
        )

    return run


BAD = failed("No name.", "Nobody answers.", "unset A", blame="dns", asked=["192.0.2.53"])


def test_the_verdict_comes_first_then_each_check_then_its_cause_and_command(ask) -> None:
    said = ask({"a.a": passed("yes", port=1), "dns.system": BAD})
    lines = said.output.splitlines()
    assert lines[:3] == ["dns: No name.", "Type this: unset A", ""]
    assert lines[3] == "PASS    a.a         yes"
    assert lines[4:] == [
        "FAIL    dns.system  No name.",
        "          Nobody answers.",
        "          fix: unset A",
    ]
    assert said.return_value == 1


def test_evidence_is_shown_with_v_only(ask) -> None:
    assert "192.0.2.53" not in ask({"dns.system": BAD}).output
    assert 'asked: ["192.0.2.53"]' in ask({"dns.system": BAD}, "-v").output


def test_json_is_one_document_of_the_published_schema(ask) -> None:
    said = ask({"a.a": passed("yes"), "dns.system": BAD}, "--json")
    made = json.loads(said.stdout)
    jsonschema.validate(made, SCHEMA)
    assert made["verdict"]["blames"] == ["dns.system"]
    assert said.stderr == ""


def test_a_warning_fails_only_strictly(ask) -> None:
    assert ask({"a.a": warned("hm")}).return_value == 0
    assert ask({"a.a": warned("hm")}, "--strict").return_value == 1
    made = json.loads(ask({"a.a": warned("hm")}, "--strict", "--json").stdout)
    assert made["status"] == 1


def test_passwords_are_not_shown(ask) -> None:
    said = ask({"a.a": failed("http://u:hunter2@p", "http://u:hunter2@p", at="u://u:hunter2@p")},
               "-v")  # fmt: skip
    assert "hunter2" not in said.output
    assert "***@p" in said.output


def test_list_runs_nothing(ask) -> None:
    said = ask({"a.a": passed("yes")}, "--list")
    assert said.output.splitlines()[1].split() == ["a.a", "a.a?", "-"]
    assert json.loads(ask({"a.a": passed("yes")}, "--list", "--json").output) == [
        {"id": "a.a", "title": "a.a?", "needs": []}
    ]


def test_schema_prints_the_published_one(ask) -> None:
    assert json.loads(ask({}, "--schema").output) == SCHEMA


def test_an_unknown_id_is_wrong_use(ask) -> None:
    said = ask({"a.a": passed("yes")}, "--check", "b.b")
    assert "There is no check 'b.b'" in str(said.exception.format_message())
    assert said.exception.exit_code == 2


@pytest.fixture
def open_folder(tmp_path: Path) -> Finding:
    """A finding that --fix may repair."""
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    return failed("Open.", blame="cache", repair="cache-mode", folder=str(folder))


def mode(finding: Finding) -> int:
    return Path(str(finding.evidence["folder"])).stat().st_mode & 0o777


def test_fix_shows_does_and_undo_takes_back(ask, open_folder: Finding) -> None:
    said = ask({"cache.folder": open_folder}, "--fix", "--yes")
    assert "cache.folder: chmod 700" in said.stderr
    assert "1 of 1 done" in said.stderr
    assert mode(open_folder) == 0o700
    # The check still says the same: the status is that of the state after.
    assert said.return_value == 1
    said = ask({"cache.folder": open_folder}, "--undo")
    assert (said.return_value, mode(open_folder)) == (0, 0o777)
    assert "chmod 777" in said.stdout
    assert "Nothing is written down" in ask({"cache.folder": open_folder}, "--undo").stdout
    both = ask({"cache.folder": open_folder}, "--undo", "--fix")
    assert "contradict" in str(both.exception or both.output)


def test_fix_asks_and_without_a_terminal_does_nothing(ask, open_folder: Finding) -> None:
    said = ask({"cache.folder": open_folder}, "--fix")
    assert "--fix --yes" in said.stderr
    assert mode(open_folder) == 0o777


def test_fix_with_json_leaves_stdout_to_the_document(ask, open_folder: Finding) -> None:
    said = ask({"cache.folder": open_folder}, "--fix", "--yes", "--json")
    jsonschema.validate(json.loads(said.stdout), SCHEMA)


def test_fix_says_where_there_is_nothing_to_do(ask) -> None:
    assert "nothing here that --fix may do" in ask({"dns.system": BAD}, "--fix").stderr


def test_report_and_archive_are_written_beside_the_answer(ask, tmp_path: Path) -> None:
    files = ["--report", str(tmp_path / "it.txt"), "--archive", str(tmp_path / "bug.tar.gz")]
    said = ask({"dns.system": BAD}, "--json", *files)
    assert json.loads(said.stdout)["verdict"]["word"] == "dns"
    assert said.stderr.count("Written, without secrets") == 2
    assert "[dns.system] No name." in (tmp_path / "it.txt").read_text()
    assert (tmp_path / "bug.tar.gz").stat().st_size > 200


def test_fix_prints_what_only_the_users_shell_can_do(ask) -> None:
    line = 'export NO_PROXY="localhost"'
    bad = warned("Caught.", fix=line, blame="network", repair="no-proxy")
    assert f"  type: {line}" in ask({"proxy.localhost": bad}, "--fix", "--yes").stderr
