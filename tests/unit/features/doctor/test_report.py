"""What is told to others, and what is not."""

import json
import tarfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pyodide_offline.features.doctor import examination, report
from pyodide_offline.features.doctor.check import Check
from pyodide_offline.features.doctor.finding import Finding, failed, passed
from pyodide_offline.features.doctor.observed import Observed

NOW = datetime(2026, 11, 25, 2, 3, 4, tzinfo=UTC)
REFUSED = failed(
    "proxy.test:3128 refuses CONNECT.",
    "Its page: Blocked by policy.",
    "Ask who runs it to allow CONNECT to far.test:443.",
    blame="proxy-policy",
    status=403,
)


def always(finding: Finding) -> Callable[[Observed], Finding]:
    return lambda _: finding


def document(session, **findings: Finding) -> dict[str, Any]:
    named = {name.replace("_", "."): one for name, one in findings.items()}
    checks = [Check(name, "Yes?", always(one)) for name, one in named.items()]
    return examination.document(examination.examine(session, checks=checks))


def test_the_text_says_what_is_needed_what_was_refused_and_what_is_asked_for(session):
    made = document(
        session,
        proxy_tunnel=REFUSED,
        registry_npm=passed("Yes.", url="https://npm.test:8443/"),
        route_official=failed("No.", blame="network", host="far.test"),
    )
    text = report.for_network(made, NOW)
    assert "made 2026-11-25 02:03:04 UTC" in text
    assert "far.test, port 443\n    for the Python runtime" in text
    assert "npm.test, port 8443\n    for npm packages" in text
    assert "[proxy.tunnel] proxy.test:3128 refuses CONNECT.\n    seen 02:03:04 UTC" in text
    assert "    status: 403" in text
    assert text.rstrip().endswith("- Ask who runs it to allow CONNECT to far.test:443.")


def test_where_the_network_is_in_order_nothing_is_asked_for(session):
    bad = failed("Full.", blame="cache", fix="prune")
    text = report.for_network(document(session, cache_store=bad), NOW)
    assert "Nothing in the network." in text
    assert "- Nothing: what was looked at works." in text


def test_interception_and_logins_have_their_own_wishes(session):
    made = document(
        session,
        trust_chain=failed("Opened.", blame="interception", issuer="Zscaler"),
        proxy_login=failed("407.", blame="proxy-auth"),
    )
    text = report.for_network(made, NOW)
    assert "CA certificate of the box" in text
    assert "A login for the proxy" in text
    assert "FAIL    trust.chain: Opened.\n        issuer: Zscaler" in text


def test_no_secret_of_this_machine_is_in_what_is_sent(session, tmp_path):
    secret = [f"Pl4nted-{number}" for number in range(10)]
    home = tmp_path / "home"
    (home / ".config" / "pip").mkdir(parents=True, exist_ok=True)
    (home / ".npmrc").write_text(f"//npm.test/:_authToken={secret[0]}\n_password={secret[1]}\n")
    (home / ".netrc").write_text(f"machine h login ada password {secret[2]}\n")
    (home / ".config" / "pip" / "pip.conf").write_text(
        f"[global]\nindex-url = https://ada:{secret[3]}@pypi.test/simple\n"
    )
    (session.project / ".dev.vars").write_text(f"API_TOKEN={secret[4]}\n")
    environ = {
        "HOME": str(home),
        "PATH": f"{home}/bin",
        "HTTPS_PROXY": f"http://ada:{secret[5]}@proxy.test:3128",
        "CLOUDFLARE_API_TOKEN": secret[6],
        "npm_config__auth": secret[7],
        "PIP_EXTRA_INDEX_URL": f"https://{secret[8]}@pypi.test/simple",
        "UV_INDEX": f"https://pypi.test/simple?token={secret[9]}",
    }
    session = replace(session, environ=environ)
    # As a careless check would tell them: in a sentence, in evidence, in a list.
    told = failed(
        f"It said {secret[0]}, {secret[1]} and {secret[2]}.",
        f"Because of {secret[3]}{secret[4]}.",
        f"type {secret[5]}",
        blame="network",
        proxy=environ["HTTPS_PROXY"],
        odd=[secret[6], {"deep": secret[7]}],
        url=f"https://{secret[8]}@x.test/?token={secret[9]}",
    )
    made = document(session, proxy_tunnel=told)
    report.write_for_network(session, made, tmp_path / "it.txt")
    report.write_archive(session, made, tmp_path / "bug.tar.gz")
    texts = [(tmp_path / "it.txt").read_text()]
    with tarfile.open(tmp_path / "bug.tar.gz") as tar:
        for member in tar:
            held = tar.extractfile(member)
            assert held is not None
            texts.append(held.read().decode())
    assert len(texts) == 6
    for text in texts:
        assert not [one for one in secret if one in text]
        assert str(home) not in text
    assert "HTTPS_PROXY=http://***@proxy.test:3128" in "".join(texts)
    assert "PATH=~/bin" in "".join(texts)
    assert json.loads(texts[1])["version"] == examination.SCHEMA


def test_a_report_is_for_its_owner_until_it_is_sent(session, tmp_path):
    report.write_for_network(session, document(session, a_b=passed("Yes.")), tmp_path / "x")
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o600
