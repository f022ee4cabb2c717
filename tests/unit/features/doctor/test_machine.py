"""This machine, as it happens to be."""

from dataclasses import replace

import pytest

from pyodide_offline import process
from pyodide_offline.features.doctor import machine
from pyodide_offline.features.doctor.finding import State
from pyodide_offline.features.doctor.observed import Observed
from pyodide_offline.network import hostlines, hosts
from pyodide_offline.network import ports as holders

KNOWN_HOST = "pyodide-capnp-bin.edgeworker.net"


def test_free_ports_pass(observed, monkeypatch):
    monkeypatch.setattr(holders, "holder", lambda _: None)
    assert machine.ports(observed).state is State.PASS


def test_the_holder_of_the_dev_servers_port_is_named(observed, monkeypatch):
    monkeypatch.setattr(holders, "holder", {8787: "node (pid 42)"}.get)
    found = machine.ports(observed)
    assert (found.state, "node (pid 42)" in found.summary) == (State.WARN, True)
    assert "--port 8788" in found.fix


def test_a_held_port_443_only_matters_to_a_tunnel(observed, monkeypatch):
    monkeypatch.setattr(holders, "holder", {443: "squid (pid 7)"}.get)
    assert "squid (pid 7)" in machine.ports(observed).summary


@pytest.fixture
def hosts_file(machine, tmp_path):
    file = tmp_path / "hosts"
    file.write_text("127.0.0.1 localhost\n")
    environ = {**machine.environ, hosts.VARIABLE: str(file)}
    return file, Observed(replace(machine, environ=environ))


def test_lines_of_a_dead_tunnel_can_be_mended(hosts_file):
    file, observed = hosts_file
    assert machine.hosts_lines(observed).state is State.PASS
    dead = hostlines.Owner(2**22 + 1, 1)
    file.write_text(hostlines.add(file.read_text(), dead, ["a.test"], "127.0.0.1"))
    found = machine.hosts_lines(observed)
    assert (found.state, found.blame, found.repair) == (State.FAIL, "dns", "hosts-lines")


def test_lines_of_a_living_tunnel_are_in_order(hosts_file):
    file, observed = hosts_file
    file.write_text(hostlines.add("", hosts.myself(), [KNOWN_HOST], "127.0.0.1"))
    assert machine.hosts_lines(observed).state is State.PASS


def test_a_line_by_hand_for_the_bundles_host_is_shown(hosts_file):
    file, observed = hosts_file
    file.write_text(f"127.0.0.1 {KNOWN_HOST} # mine\n")
    found = machine.hosts_lines(observed)
    assert (found.state, KNOWN_HOST in str(found.evidence["line"])) == (State.WARN, True)


def test_namespaces_are_tried(observed, monkeypatch):
    status = type("S", (), {"status": 1, "stderr": "unshare: Operation not permitted"})()
    monkeypatch.setattr(process, "capture", lambda *_, **__: status)
    found = machine.namespaces(observed)
    assert (found.state, found.evidence) == (State.PASS, {"allowed": False})
    assert "Operation not permitted" in found.summary


def test_a_sandbox_is_known_by_what_it_does(observed, monkeypatch):
    texts = {
        "/proc/version": "Linux version 5.15-microsoft-standard-WSL2",
        "/proc/self/status": "Name:\tx\nNoNewPrivs:\t1\nSeccomp:\t2\n",
    }
    monkeypatch.setattr(machine, "_text", lambda path: texts[path])
    found = machine.kind(observed)
    assert found.summary.startswith("A sandbox with:")
    assert {"WSL", "seccomp", "no new privileges"} <= set(found.evidence)


def test_a_plain_machine_has_no_signs(observed, monkeypatch):
    monkeypatch.setattr(machine, "_text", lambda _: "")
    monkeypatch.setattr(machine, "_CONTAINERS", {})
    monkeypatch.setattr(machine, "_read_only", lambda _: False)
    assert machine.kind(observed).summary == "A plain machine."
