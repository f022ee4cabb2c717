"""`pyodide-offline resolve` as a person meets it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.authority import Authority
from tests.peers.doh import Server, records

WWW = "www.example.test"
ZONE = records(
    f"{WWW}. 60 IN CNAME far.example.test.",
    "far.example.test. 60 IN A 192.0.2.1",
    "far.example.test. 60 IN AAAA 2001:db8::1",
)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    authority = Authority(tmp_path / "ca", "dns.test")
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(authority.ca))
    with Server(authority.server(), ZONE) as running:
        monkeypatch.setenv("PYODIDE_OFFLINE_RESOLVER", running.url())
        yield running


@pytest.mark.usefixtures("server")
def test_a_table_with_all_that_was_answered(program):
    done = program("resolve", "--policy", "secure", WWW)
    assert (done.returncode, done.stderr) == (0, "")
    head, *lines = [line.split() for line in done.stdout.splitlines()]
    assert head == ["NAME", "TYPE", "ANSWER", "TTL", "FROM", "MS"]
    assert [line[:4] for line in lines] == [
        [WWW, "CNAME", "far.example.test", "60"],
        ["far.example.test", "A", "192.0.2.1", "60"],
        ["far.example.test", "AAAA", "2001:db8::1", "60"],
    ]


@pytest.mark.usefixtures("server")
def test_lines_for_a_hosts_file_have_the_name_that_was_asked_for_and_nothing_else(program):
    done = program("resolve", "--policy", "secure", "--hosts", WWW.upper() + ".")
    assert done.stdout == f"192.0.2.1\t{WWW}\n2001:db8::1\t{WWW}\n"


@pytest.mark.usefixtures("server")
def test_json(program):
    done = program("resolve", "--policy", "secure", "--json", "--type", "aaaa", WWW)
    (found,) = json.loads(done.stdout)
    assert found["addresses"] == ["2001:db8::1"]
    assert found["records"][1]["ttl"] == 60


@pytest.mark.usefixtures("server")
def test_a_name_without_an_address_is_status_1_with_the_reason(program):
    done = program("resolve", "--policy", "secure", "--type", "HTTPS", WWW)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{WWW}: dns.test:")
    assert "no HTTPS record" in done.stderr


def test_nobody_to_ask_is_status_3_in_three_lines(program):
    # Nothing listens on port 1.
    done = program(
        "resolve", "--policy", "secure", "--resolver", "https://a.test:1/#127.0.0.1", WWW
    )
    assert done.returncode == 3
    assert done.stderr.startswith("error[network]: No resolver could be asked over HTTPS.")
    assert "refuses the connection" in done.stderr
    assert len(done.stderr.splitlines()) == 3


def test_the_resolver_may_come_from_a_config_file(program, server, monkeypatch):
    monkeypatch.delenv("PYODIDE_OFFLINE_RESOLVER")
    (program.folder / "pyproject.toml").write_text(
        f'[tool.pyodide-offline]\nresolver = "https://a.test:1/#127.0.0.1 {server.url()}"\n'
    )
    done = program("resolve", "--policy", "secure", WWW)
    assert done.returncode == 0, done.stderr
    assert len(server.asked) == 2


@pytest.mark.usefixtures("server")
def test_compare_in_columns_and_as_json(program):
    done = program("resolve", "--compare", "localhost", WWW, "a.example.test")
    assert done.returncode == 1, done.stdout
    assert "a.example.test: no address by any way." in done.stdout
    assert done.stdout.splitlines()[0].split() == ["NAME", "SYSTEM", "DOH"]
    assert "No proxy is named, so" in done.stdout
    done = program("resolve", "--compare", "--json", WWW)
    (found,) = json.loads(done.stdout)
    assert [view["way"] for view in found["views"]] == ["system", "DoH"]
    assert f"{WWW}: " in found["sentence"]


@pytest.mark.usefixtures("server")
def test_compare_says_why_nobody_answers_on_a_way(program):
    done = program("resolve", "--compare", WWW, HTTPS_PROXY="http://me:s3cret@127.0.0.1:1")
    assert done.returncode == 0
    assert "(nobody answers)" in done.stdout
    assert done.stderr.startswith("DoH through the proxy: No resolver could be asked")
    assert "refuses the connection" in done.stderr
    assert "s3cret" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        ([], 2, "Missing argument"),
        (["a b"], 2, "no host name"),
        (["192.0.2.1"], 2, "is an address already"),
        (["--hosts", "--json", "a.test"], 2, "--hosts goes neither"),
        (["--compare", "--type", "A", "a.test"], 2, "no --type"),
        (["--resolver", "1.1.1.1", "a.test"], 13, "names no DNS-over-HTTPS resolver"),
    ],
)
def test_wrong_use_is_said(program, arguments, status, says):
    done = program("resolve", *arguments)
    assert done.returncode == status
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_neither_help_nor_the_systems_answer_loads_an_http_client():
    for call in (["--help"], ["resolve", "--help"], ["resolve", "localhost"]):
        code = (
            "import sys\nfrom pyodide_offline.cli import main\n"
            f"sys.argv[1:] = {call!r}\n"
            "try:\n    main()\nexcept SystemExit:\n    pass\n"
            "print(*(name for name in ('httpx', 'httpcore', 'dns') if name in sys.modules))\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={"PATH": "/usr/bin:/bin", "PYODIDE_OFFLINE_STORE_DIR": "/nonexistent"},
            capture_output=True,
            encoding="utf-8",
            check=True,
        )
        loaded = done.stdout.splitlines()[-1]
        assert loaded == ("dns" if call[-1] == "localhost" else ""), done.stdout
