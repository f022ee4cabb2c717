"""`resolve` against unbound, dnsdist and bind9: what real resolvers say, in both forms."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.conftest import PROGRAM, Machine
from tests.peers import dnsless, proxies, resolvers
from tests.peers.authority import Authority
from tests.peers.doh import Proxy, Server, as_json
from tests.peers.resolvers import ADDRESS4, ADDRESS6, SERVICE, Resolver

pytestmark = pytest.mark.e2e
WWW, ALIAS = "www.example.test", "alias.example.test"
Resolve = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("resolvers") / "ca", "dns.test")


@pytest.fixture(scope="module")
def servers(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority
) -> Iterator[dict[str, Resolver]]:
    if not os.environ.get("CI") and (missing := resolvers.missing()):
        pytest.skip(f"not installed: {', '.join(missing)}")
    with ExitStack() as stack:
        yield {
            kind: stack.enter_context(
                resolvers.running(kind, tmp_path_factory.mktemp("r") / kind, authority)
            )
            for kind in resolvers.KINDS
        }


@pytest.fixture
def resolve(machine: Machine, authority: Authority, tmp_path: Path) -> Resolve:
    """The program as a user types it, over HTTPS only; proxies only where a test names one."""
    kept = {key: value for key, value in machine.env.items() if not key.lower().endswith("_proxy")}
    store = {"PYODIDE_OFFLINE_STORE_DIR": str(tmp_path / "store")}

    def start(*arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [PROGRAM, "resolve", "--policy", "secure", *arguments],
            cwd=tmp_path,
            env={**kept, **store, "NODE_EXTRA_CA_CERTS": str(authority.ca), **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )

    return start


@pytest.mark.parametrize("template", ["", "{?dns}"])
@pytest.mark.parametrize("kind", resolvers.KINDS)
def test_addresses_from_a_real_resolver(
    servers: dict[str, Resolver], resolve: Resolve, kind: str, template: str
) -> None:
    done = resolve("--json", "--resolver", servers[kind].url(template), WWW)
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)
    assert found["addresses"] == [ADDRESS4, ADDRESS6]
    assert {line["source"] for line in found["records"]} == {
        f"dns.test:{servers[kind].port} (127.0.0.1)"
    }


@pytest.mark.parametrize("kind", ["unbound", "named"])
def test_https_records(servers: dict[str, Resolver], resolve: Resolve, kind: str) -> None:
    done = resolve("--json", "--type", "HTTPS", "--resolver", servers[kind].url(), WWW)
    assert json.loads(done.stdout)[0]["records"][0]["value"] == SERVICE


def test_an_alias_is_followed_and_kept_no_longer_than_its_shortest_part(
    servers: dict[str, Resolver], resolve: Resolve
) -> None:
    asked = ["--json", "--resolver", servers["named"].url(), ALIAS]
    (found,) = json.loads(resolve(*asked).stdout)
    assert [(line["name"], line["type"], line["ttl"]) for line in found["records"]] == [
        (ALIAS, "CNAME", 120),
        (WWW, "A", 300),
        (WWW, "AAAA", 300),
    ]
    (again,) = json.loads(resolve(*asked).stdout)
    assert again["addresses"] == found["addresses"]
    assert all(line["ttl"] <= 120 and line["ms"] == 0 for line in again["records"])


@pytest.mark.parametrize("kind", resolvers.KINDS)
def test_a_name_that_does_not_exist(
    servers: dict[str, Resolver], resolve: Resolve, kind: str
) -> None:
    done = resolve("--resolver", servers[kind].url(), "nothing.example.test")
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no such name (NXDOMAIN)" in done.stderr


@pytest.mark.parametrize("code", ["SERVFAIL", "REFUSED"])
def test_a_resolvers_own_trouble_and_another_one_that_helps(
    servers: dict[str, Resolver], resolve: Resolve, code: str
) -> None:
    name = f"{code.lower()}.example.test"
    bad, good = servers["dnsdist"].url(), servers["named"].url()
    done = resolve("--resolver", bad, name)
    assert done.returncode == 1
    assert code in done.stderr
    done = resolve("--resolver", bad, "--resolver", good, name)
    assert "NXDOMAIN" in done.stderr


def test_a_resolver_that_drops_the_question_gives_no_answer(
    servers: dict[str, Resolver], resolve: Resolve
) -> None:
    began = time.monotonic()
    done = resolve("--resolver", servers["dnsdist"].url(), "dropped.example.test")
    assert time.monotonic() - began < 15
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 3
    alive = resolve("--resolver", servers["unbound"].url(), "--hosts", WWW)
    assert alive.stdout == f"{ADDRESS4}\t{WWW}\n{ADDRESS6}\t{WWW}\n"


def test_several_are_raced_and_a_dead_one_costs_nothing(
    servers: dict[str, Resolver], resolve: Resolve
) -> None:
    dead = "https://dns.test:1/dns-query#127.0.0.1"
    urls = [dead, *(one.url() for one in servers.values())]
    done = resolve("--json", WWW, PYODIDE_OFFLINE_RESOLVER=" ".join(urls))
    assert json.loads(done.stdout)[0]["addresses"] == [ADDRESS4, ADDRESS6]


@pytest.mark.parametrize("kind", resolvers.KINDS)
def test_a_certificate_of_another_name_is_refused(
    servers: dict[str, Resolver], resolve: Resolve, kind: str
) -> None:
    done = resolve("--resolver", servers[kind].url(host="other.test"), WWW)
    assert done.returncode == 3
    assert "not valid for 'other.test'" in done.stderr


@pytest.mark.parametrize("kind", resolvers.KINDS)
def test_through_a_proxy_that_wants_a_login(
    servers: dict[str, Resolver], resolve: Resolve, kind: str
) -> None:
    with Proxy("me:s3cret") as proxy:
        way = f"127.0.0.1:{proxy.port}"
        asked = ["--hosts", "--resolver", servers[kind].url(), WWW]
        done = resolve(*asked, HTTPS_PROXY=f"http://me:s3cret@{way}")
        assert done.stdout.startswith(f"{ADDRESS4}\t{WWW}\n"), done.stderr
        assert proxy.targets[0] == f"127.0.0.1:{servers[kind].port}"
    with Proxy("me:another") as proxy:
        done = resolve(
            *asked, "nothing.test", HTTPS_PROXY=f"http://me:s3cret@127.0.0.1:{proxy.port}"
        )
    assert done.returncode == 1  # WWW is still kept
    assert "does not accept the user and password" in done.stderr
    assert "s3cret" not in done.stdout + done.stderr


def test_the_json_form(authority: Authority, resolve: Resolve) -> None:
    with Server(authority.server(), as_json("192.0.2.9")) as server:
        done = resolve("--hosts", "--resolver", server.url(template="{?name,type}"), WWW)
    assert done.stdout == f"192.0.2.9\t{WWW}\n"


def test_compare_says_where_the_ways_differ(servers: dict[str, Resolver], resolve: Resolve) -> None:
    with Proxy() as proxy:
        done = resolve(
            "--compare",
            "--resolver",
            servers["unbound"].url(),
            WWW,
            HTTPS_PROXY=f"http://127.0.0.1:{proxy.port}",
            NO_PROXY="*",
        )
    assert done.returncode == 0, done.stderr
    head, first, *_ = done.stdout.splitlines()
    assert head.split("  ")[-1].strip() == "DOH THROUGH THE PROXY"
    assert first.split().count(ADDRESS4) == 2
    assert "no address by the system, but by DoH and DoH through the proxy" in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="squid becomes another user, which needs root")
@pytest.mark.usefixtures("counting_network")
def test_without_dns_and_without_a_route_through_a_proxy_with_a_digest_login(
    machine: Machine, tmp_path: Path
) -> None:
    store = ["--store-dir", str(tmp_path / "store")]
    ask = [PROGRAM, "resolve", *store, "--resolver", "RESOLVER", "--hosts", WWW]
    seen = dnsless.play([*ask, "--proxy", "PROXY"], folder=tmp_path / "right", env=machine.env)
    assert seen.output == f"{ADDRESS4}\t{WWW}\n{ADDRESS6}\t{WWW}\n", seen.errors
    assert "CONNECT 127.0.0.1:" in seen.log
    assert f" {proxies.USER} " in seen.log
    store[1] = str(tmp_path / "another")
    seen = dnsless.play([*ask, "--proxy", "WRONG"], folder=tmp_path / "wrong", env=machine.env)
    assert (seen.status, seen.output) == (3, "")
    assert "does not accept the user and password" in seen.errors
    assert "wr0ng-h0rse" not in seen.errors
    seen = dnsless.play(ask, folder=tmp_path / "direct", env=machine.env)
    assert (seen.status, "CONNECT" in seen.log) == (3, False)
