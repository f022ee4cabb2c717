"""`pyodide-offline mirror token|accept|audit` as an operator meets them."""

import json
import shlex
from pathlib import Path

import pytest

from pyodide_offline.cli import mirror_serve
from tests.peers.registry import Registry, integrity


def test_a_token_is_shown_once_listed_without_its_secret_and_revoked(program, tmp_path):
    place = ["--tokens", str(tmp_path / "a folder" / "tokens.json")]
    done = program("mirror", "token", "add", "ci", *place)
    assert done.returncode == 0, done.stderr
    made = done.stdout.strip()
    assert made.startswith("pom_")
    done = program("mirror", "token", "list", "--json", *place)
    assert [one["name"] for one in json.loads(done.stdout)] == ["ci"]
    assert made[20:] not in done.stdout
    assert program("mirror", "token", "add", "ci", *place).returncode == 13
    assert program("mirror", "token", "revoke", "ci", *place).returncode == 0
    assert "ci" not in program("mirror", "token", "list", *place).stdout


def _filled(program, tmp_path, place):
    with Registry() as registry:
        sri = integrity(registry.add("one", "1.0.0"))
        packages = {"node_modules/one": {"version": "1.0.0", "integrity": sri}}
        lock = tmp_path / "package-lock.json"
        lock.write_text(json.dumps({"lockfileVersion": 3, "packages": packages}))
        upstreams = ["--upstream", f"npm={registry.url}", "--upstream", f"pypi={registry.url}"]
        done = program("mirror", "sync", str(lock), *upstreams, *place)
        assert done.returncode == 0, done.stderr


def test_an_audit_tells_each_fault_and_adds_up_its_status(program, tmp_path):
    depot = tmp_path / "depot"
    place = ["--store", str(depot), "--signing-key", str(tmp_path / "key")]
    _filled(program, tmp_path, place)
    done = program("mirror", "audit", *place)
    assert (done.returncode, done.stdout[:5]) == (0, "head "), done.stdout + done.stderr
    assert "well: 1 entries, 1 pins of 1 packages" in done.stderr
    for path in (depot / "v1/blobs").rglob("*"):
        if path.is_file():
            path.unlink()
    (depot / "v1/refs/pins/npm/one").unlink()
    done = program("mirror", "audit", "--json", *place)
    assert done.returncode == 4
    faults = json.loads(done.stdout)["faults"]
    assert {"npm one"} < {one["where"] for one in faults}
    stranger = ["--store", str(depot), "--signing-key", str(tmp_path / "other")]
    done = program("mirror", "audit", *stranger)
    assert done.returncode == 13
    assert "no key" in done.stderr


def test_nothing_is_accepted_that_was_not_refused(program, tmp_path):
    place = ["--store", str(tmp_path / "depot"), "--signing-key", str(tmp_path / "key")]
    done = program("mirror", "accept", "npm", "one", "1.0.0", "--yes", *place)
    assert done.returncode == 13
    assert "No change of npm one 1.0.0 was refused" in done.stderr
    given = integrity(b"other")
    done = program("mirror", "accept", "npm", "one", "1.0.0", "--digest", given, "--yes", *place)
    assert done.returncode == 0, done.stderr
    assert given in done.stderr
    assert program("mirror", "audit", *place).returncode == 0


EXAMPLES = Path(__file__).parents[3] / "examples" / "mirror"


def _unit_command() -> list[str]:
    text = (EXAMPLES / "pyodide-offline-mirror.service").read_text().replace("\\\n", " ")
    (line,) = (one for one in text.splitlines() if one.startswith("ExecStart="))
    return shlex.split(line.removeprefix("ExecStart="))


def _container_command() -> list[str]:
    text = (EXAMPLES / "Containerfile").read_text().replace("\\\n", " ")
    (line,) = (one for one in text.splitlines() if one.startswith("CMD "))
    return [str(word) for word in json.loads(line.removeprefix("CMD "))]


@pytest.mark.parametrize("command", [_unit_command, _container_command])
def test_what_the_examples_start_is_what_serve_takes(command):
    program, group, name, *options = command()
    assert (program.rpartition("/")[2], group, name) == ("pyodide-offline", "mirror", "serve")
    context = mirror_serve.serve.make_context("serve", options)
    assert context.params["signing_key"].name == "chain.key"
    assert context.params["token_file"].name == "tokens.json"


def test_the_containers_health_check_asks_no_proxy_and_is_about_life():
    text = (EXAMPLES / "Containerfile").read_text().replace("\\\n", " ")
    (line,) = (one for one in text.splitlines() if one.startswith("HEALTHCHECK "))
    program, option, script = json.loads(line.partition(" CMD ")[2])
    assert (program, option) == ("python", "-c")
    compile(script, "HEALTHCHECK", "exec")
    assert "ProxyHandler({})" in script
    assert "/healthz" in script
