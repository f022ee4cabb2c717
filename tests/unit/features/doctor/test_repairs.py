"""Each repair does its one thing, and takes it back."""

import shlex
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from pyodide_offline.errors import StorageError, ToolchainError
from pyodide_offline.features.doctor import binary, folders, repairs
from pyodide_offline.features.doctor import machine as machine_checks
from pyodide_offline.features.doctor.finding import Finding, State, failed
from pyodide_offline.features.doctor.observed import Observed
from pyodide_offline.features.doctor.repairs import REPAIRS
from pyodide_offline.network import hostlines, hosts
from tests.peers import toolroom
from tests.peers.authority import Issuer


@pytest.fixture
def cache_dir(machine):
    machine.cache_dir.mkdir(mode=0o700)
    return machine.cache_dir


def mended(session, check, finding: Finding) -> dict[str, object]:
    """Do the repair that a finding names, see that its check passes, return the record."""
    assert finding.repair
    repair = REPAIRS[finding.repair]
    assert repair.shown(session, finding)
    record = repair.do(session, finding)
    assert check(Observed(session)).state in (State.PASS, State.SKIP)
    return record


def test_bad_files_are_moved_away_and_back(machine, cache_dir):
    bad = [cache_dir / f"pyodide_{name}.capnp.bin" for name in "ab"]
    for path in bad:
        path.write_text(path.name)
    found = folders.content(Observed(machine))
    record = mended(machine, folders.content, found)
    assert not any(path.exists() for path in bad)
    REPAIRS["quarantine"].undo(machine, record)
    assert [path.read_text() for path in bad] == [path.name for path in bad]


def test_what_came_meanwhile_is_not_overwritten(machine, cache_dir):
    bad = cache_dir / "pyodide_a.capnp.bin"
    bad.write_text("bad")
    record = mended(machine, folders.content, folders.content(Observed(machine)))
    bad.write_text("new")
    with pytest.raises(StorageError, match="is there again"):
        REPAIRS["quarantine"].undo(machine, record)
    assert bad.read_text() == "new"


def test_an_open_folder_is_closed_and_opened(machine, cache_dir):
    cache_dir.chmod(0o777)
    record = mended(machine, folders.cache, folders.cache(Observed(machine)))
    assert stat.S_IMODE(cache_dir.stat().st_mode) == 0o700
    REPAIRS["cache-mode"].undo(machine, record)
    assert stat.S_IMODE(cache_dir.stat().st_mode) == 0o777


def test_workerd_gets_its_mode(machine):
    program = toolroom.lay_out(machine.project)
    program.chmod(0o640)
    record = mended(machine, binary.workerd, binary.workerd(Observed(machine)))
    assert stat.S_IMODE(program.stat().st_mode) == 0o751
    REPAIRS["workerd-mode"].undo(machine, record)
    assert stat.S_IMODE(program.stat().st_mode) == 0o640


def test_lines_of_dead_tunnels_go_and_come(machine, tmp_path):
    file = tmp_path / "hosts"
    dead = hostlines.Owner(2**22 + 1, 1)
    before = hostlines.add("127.0.0.1 localhost\n", dead, ["a.test"], "127.0.0.1")
    file.write_text(before)
    session = replace(machine, environ={**machine.environ, hosts.VARIABLE: str(file)})
    record = mended(session, machine_hosts, machine_hosts(Observed(session)))
    assert file.read_text() == "127.0.0.1 localhost\n"
    REPAIRS["hosts-lines"].undo(session, record)
    assert file.read_text() == before


def machine_hosts(observed: Observed) -> Finding:
    return machine_checks.hosts_lines(observed)


def test_our_own_commands_mend_patch_and_tools(machine, tmp_path, monkeypatch):
    called: list[tuple[str, ...]] = []

    def own(session, *words):
        called.append(words)
        if words[0] == "patch":
            Path(words[2]).write_text("patched")
        else:
            toolroom.store_bundle(session.store)

    monkeypatch.setattr(repairs, "_own", own)
    file = tmp_path / "index.js"
    file.write_text("half")
    half = failed("Half.", repair="patch", file=str(file))
    record = REPAIRS["patch"].do(machine, half)
    assert file.read_text() == "patched"
    REPAIRS["patch"].undo(machine, record)
    assert file.read_text() == "half"

    record = REPAIRS["toolchain"].do(machine, half)
    assert machine.store.entries()
    REPAIRS["toolchain"].undo(machine, record)
    assert not machine.store.entries()
    assert called == [("patch", "apply", str(file)), ("toolchain", "install")]


def test_a_command_that_fails_tells_its_last_words(machine):
    with pytest.raises(ToolchainError, match="patch apply failed with"):
        repairs._own(machine, "patch", "apply", "/nowhere")


def test_what_only_the_users_shell_can_do_is_told(machine):
    found = failed("It goes to the proxy.", fix='export NO_PROXY="localhost"', repair="no-proxy")
    repair = REPAIRS["no-proxy"]
    assert "export NO_PROXY" in repair.shown(machine, found)
    record = repair.do(machine, found)
    assert record == {"type": ['export NO_PROXY="localhost"']}
    assert repair.undo(machine, record).endswith("unset NO_PROXY")


def test_one_ca_file_is_made_and_its_variables_told(machine, tmp_path):
    file = Issuer(tmp_path / "company", "a.test").ca
    session = replace(machine, environ={**machine.environ, "SSL_CERT_FILE": str(file)})
    record = REPAIRS["merged-ca"].do(session, failed("One only.", repair="merged-ca"))
    line = next(one for one in record["type"] if one.startswith("export NODE_EXTRA_CA_CERTS="))
    made = Path(shlex.split(line)[1].partition("=")[2])
    assert file.read_text().split("-----")[2].strip() in made.read_text()
    assert "unset SSL_CERT_FILE" in REPAIRS["merged-ca"].undo(session, record)


def test_of_nothing_no_ca_file_is_made(machine):
    with pytest.raises(StorageError, match="No CA file can be made"):
        REPAIRS["merged-ca"].do(machine, failed("Empty.", repair="merged-ca"))
