import os
import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from pyodide_offline.features.doctor import certificates, places, stores
from pyodide_offline.features.doctor.finding import State, passed
from pyodide_offline.features.doctor.observed import Observed
from pyodide_offline.features.doctor.places import Outcome, Place
from pyodide_offline.features.doctor.stores import Store
from pyodide_offline.network import reach
from pyodide_offline.network.trust import Source
from pyodide_offline.paths import CA_VARIABLE
from pyodide_offline.session import Session
from tests.peers.authority import Authority

PLACE = Place("npm", "https://npm.test/", "x")
SYSTEM = Store(system=True)
BUNDLED = Store(bundled=True)


def test_without_variables_each_has_its_own() -> None:
    assert stores.stores({}) == {
        "workerd": SYSTEM, "Node": BUNDLED, "npm": BUNDLED,
        "pip": Store(system=True, bundled=True), "uv": BUNDLED,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("environ", "program", "store"),
    [
        ({"SSL_CERT_FILE": "a"}, "workerd", Store(("a",))),
        ({"SSL_CERT_FILE": "a"}, "uv", Store(("a",))),
        ({"SSL_CERT_FILE": "a"}, "Node", BUNDLED),
        ({"SSL_CERT_FILE": "a", "NODE_OPTIONS": "--use-openssl-ca"}, "Node", Store(("a",))),
        ({"NODE_EXTRA_CA_CERTS": "a"}, "Node", Store((), ("a",), bundled=True)),
        ({"NODE_OPTIONS": "--use-system-ca"}, "Node", Store(system=True, bundled=True)),
        ({"npm_config_cafile": "a", "NODE_EXTRA_CA_CERTS": "b"}, "npm", Store(("a",))),
        ({"UV_NATIVE_TLS": "true"}, "uv", SYSTEM),
        ({"PIP_CERT": "a", "REQUESTS_CA_BUNDLE": "b"}, "pip", Store(("a",))),
        ({"REQUESTS_CA_BUNDLE": "b"}, "pip", Store(("b",))),
    ],
)
def test_variables_that_each_reads(environ: dict[str, str], program: str, store: Store) -> None:
    assert stores.stores(environ)[program] == store


def test_npms_and_pips_own_files_count_where_no_variable_is_set() -> None:
    settings = [
        Source(Path("/n"), "cafile in /x/.npmrc"), Source(Path("/p"), "global.cert in /x/pip.conf"),
    ]  # fmt: skip
    read = stores.stores({"REQUESTS_CA_BUNDLE": "r"}, settings)
    assert (read["npm"], read["pip"]) == (Store(("/n",)), Store(("/p",)))
    read = stores.stores({"npm_config_cafile": "v", "PIP_CERT": "w"}, settings)
    assert (read["npm"], read["pip"]) == (Store(("v",)), Store(("w",)))


@pytest.fixture
def pem(tmp_path: Path) -> bytes:
    return Authority(tmp_path / "authority").ca.read_bytes()


def test_what_a_parser_may_dislike(tmp_path: Path, pem: bytes) -> None:
    def read(data: bytes) -> tuple[int, str]:
        file = tmp_path / "ca.pem"
        file.write_bytes(data)
        return stores.read(file)

    assert read(pem * 2) == (2, "")
    assert read(b"junk\n" + pem.replace(b"\n", b"\r\n")) == (1, "")
    assert read(b"\xef\xbb\xbf" + pem)[1].startswith("begins with a byte order mark")
    assert read(b"<html>") == (0, "holds no certificate")
    assert read(b"\x30\x82\x01\x02")[1].startswith("is in DER")
    key = (tmp_path / "authority" / "key.pem").read_bytes()
    assert read(pem + key) == (1, "holds a private key")
    assert "TRUSTED" in read(pem.replace(b"CERTIFICATE", b"TRUSTED CERTIFICATE"))[1]
    broken = pem.replace(pem.splitlines()[2], b"A" * 64)
    assert read(pem + broken) == (2, "holds a certificate (number 2) that cannot be parsed")
    assert stores.read(tmp_path / "none")[1].startswith("cannot be read")


def test_a_file_that_stands_in_for_the_public_roots_and_has_few_is_a_warning(
    session: Session, tmp_path: Path, pem: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(pem)
    for name in (*stores.REPLACING, *stores.ADDING):
        monkeypatch.delenv(name, raising=False)
    assert stores.files(Observed(session)).state is State.SKIP
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(file))
    assert stores.files(Observed(session)).state is State.PASS
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    found = stores.files(Observed(session))
    assert (found.state, found.fix) == (State.WARN, "unset SSL_CERT_FILE")
    assert "stands in for the public roots" in found.summary


def test_ca_files_of_ours_are_read_as_run_reads_them(
    session: Session, tmp_path: Path, pem: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*stores.REPLACING, *stores.ADDING):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.pem").write_bytes(pem)
    der = tmp_path / "b.der"
    der.write_bytes(ssl.PEM_cert_to_DER_cert(pem.decode()))
    environ = {CA_VARIABLE: f"{tmp_path / 'folder'}{os.pathsep}{der}"}
    found = stores.files(Observed(replace(session, environ=environ)))
    assert found.state is State.PASS, found.summary
    assert stores._command(environ).endswith(f'env --ca {tmp_path / "folder"} --ca {der})"')
    der.write_text("<html>")
    found = stores.files(Observed(replace(session, environ=environ)))
    assert (found.state, found.blame) == (State.FAIL, "toolchain")
    assert "b.der of --ca or PYODIDE_OFFLINE_CA" in found.summary


def test_checks_that_are_switched_off_elsewhere_are_a_warning(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*stores.REPLACING, *stores.ADDING):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NODE_TLS_REJECT_UNAUTHORIZED", "0")
    found = stores.files(Observed(session))
    assert (found.state, found.fix) == (State.WARN, "unset NODE_TLS_REJECT_UNAUTHORIZED")


def test_a_store_is_what_its_context_trusts(tmp_path: Path, pem: bytes) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(pem)
    assert len(Store((str(file),)).context().get_ca_certs()) == 1
    assert len(Store((str(file),), bundled=True).context().get_ca_certs()) > stores.FEW
    with pytest.raises(OSError, match="No such file"):
        Store((str(tmp_path / "none"),)).context()
    assert Store((), (str(tmp_path / "none"),)).context().get_ca_certs() == []


def test_programs_that_do_not_trust_what_is_shown_are_named_with_what_to_type(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[bool] = []

    def verified(_: Observed, __: Place, context: object) -> str | None:
        tried.append(True)
        return "unknown issuer" if len(context.get_ca_certs()) == 0 else None  # type: ignore[attr-defined]

    monkeypatch.setattr(certificates, "verified", verified)
    monkeypatch.setattr(places, "known", lambda _: [PLACE])
    monkeypatch.setattr(places, "outcome", lambda *_: Outcome(reach.Answer(200, {}, b"", 1)))
    monkeypatch.setattr(Store, "context", lambda self: _Context(0 if self == BUNDLED else 3))
    seen = {"trust.chain": passed("", intercepted=True, seen={"npm.test": {"issuer": '"Corp"'}})}
    found = stores.programs(Observed(session, seen))
    assert (found.state, found.blame) == (State.WARN, "interception")
    assert found.summary.startswith('Node, npm, uv will not trust npm.test: "Corp" is not in')
    assert found.repair == "merged-ca"
    assert found.fix.startswith('eval "$(pyodide-offline env --ca ')
    assert len(tried) == 3  # equal stores are tried once
    monkeypatch.setattr(Store, "context", lambda _: _Context(3))
    assert stores.programs(Observed(session, seen)).state is State.PASS


class _Context:
    def __init__(self, count: int) -> None:
        self._count = count

    def get_ca_certs(self) -> list[int]:
        return [0] * self._count
