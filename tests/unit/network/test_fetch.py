"""The door for downloads, against a real server on loopback."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pyodide_offline import digest as digests
from pyodide_offline.errors import IntegrityError, NetworkError, OfflineError, SettingsError
from pyodide_offline.network import fetch
from pyodide_offline.session import Session
from tests.conftest import Recorder
from tests.peers.authority import Authority
from tests.peers.registry import BLOCK_PAGE, Answer, Registry

BODY = bytes(range(256)) * 400
GOOD = digests.of_bytes(BODY, "sha512")
HTML = {"Content-Type": "text/html; charset=utf-8"}


@pytest.fixture
def peer() -> Iterator[Registry]:
    with Registry() as registry:
        yield registry


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Keep the pauses between tries instead of waiting them."""
    kept: list[float] = []
    monkeypatch.setattr("time.sleep", kept.append)
    return kept


def _download(session: Session, url: str, target: Path, **more: object) -> digests.Digest:
    settings: dict[str, object] = {"label": "a file", "digest": GOOD, "max_bytes": 1 << 20}
    return fetch.download(session, url, target, **(settings | more))  # type: ignore[arg-type]


def _closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_a_file_is_written_its_sha256_returned_and_its_bytes_counted(
    session: Session, peer: Registry, tmp_path: Path, progress: Recorder
) -> None:
    peer.script("/file", Answer(200, BODY))
    sha256 = _download(session, f"{peer.origin}/file", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == BODY
    assert sha256 == digests.of_bytes(BODY)
    (task,) = progress.tasks["a file"]
    assert (task.total, task.done, task.finished) == (len(BODY), len(BODY), True)


def test_the_server_is_told_who_asks(session: Session, peer: Registry) -> None:
    peer.script("/x", Answer(200, b"{}"))
    fetch.read(session, f"{peer.origin}/x", max_bytes=10, headers={"Accept": "a/b"})
    headers = peer.requests[0].headers
    assert headers["user-agent"].startswith("pyodide-offline/")
    assert headers["accept"] == "a/b"


def test_other_bytes_are_refused_with_both_digests_and_leave_no_file(
    session: Session, peer: Registry, tmp_path: Path
) -> None:
    peer.script("/file", Answer(200, BODY[:-1] + b"!"))
    with pytest.raises(IntegrityError) as caught:
        _download(session, f"{peer.origin}/file", tmp_path / "got")
    wrong = digests.of_bytes(BODY[:-1] + b"!", "sha512")
    assert GOOD.sri in str(caught.value)
    assert wrong.sri in str(caught.value)
    assert not (tmp_path / "got").exists()
    assert len(peer.requests) == 1


def test_a_tgz_labelled_as_gzip_encoded_stays_compressed(
    session: Session, peer: Registry, tmp_path: Path
) -> None:
    data = peer.add("p", "1.0.0")
    peer.script("/p.tgz", Answer(200, data, {"Content-Encoding": "gzip"}))
    wanted = digests.of_bytes(data, "sha512")
    _download(session, f"{peer.origin}/p.tgz", tmp_path / "got", digest=wanted)
    assert (tmp_path / "got").read_bytes() == data


def test_offline_makes_no_request(session: Session, peer: Registry, tmp_path: Path) -> None:
    offline = replace(session, offline=True)
    with pytest.raises(OfflineError, match="a file is not in the store"):
        _download(offline, f"{peer.origin}/file", tmp_path / "got")
    with pytest.raises(OfflineError):
        fetch.read(offline, f"{peer.origin}/file", max_bytes=10)
    assert peer.requests == []


def test_an_announced_length_over_the_limit_is_refused_unread(
    session: Session, peer: Registry, tmp_path: Path
) -> None:
    # The body never comes: reading it would end as a broken connection.
    peer.script("/file", Answer(200, BODY, cut=0))
    with pytest.raises(IntegrityError, match="longer than the 1000 bytes"):
        _download(session, f"{peer.origin}/file", tmp_path / "got", max_bytes=1000)
    assert not (tmp_path / "got").exists()


def test_an_unannounced_length_over_the_limit_is_refused(session: Session, peer: Registry) -> None:
    chunked = b"400\r\n" + BODY[:1024] + b"\r\n0\r\n\r\n"
    answer = Answer(200, chunked, {"Transfer-Encoding": "chunked"})
    peer.script("/file", answer)
    assert fetch.read(session, f"{peer.origin}/file", max_bytes=1024) == BODY[:1024]
    with pytest.raises(IntegrityError, match="longer than the 1023 bytes"):
        fetch.read(session, f"{peer.origin}/file", max_bytes=1023)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_passing_trouble_is_tried_again(
    session: Session, peer: Registry, tmp_path: Path, status: int, pauses: list[float]
) -> None:
    peer.script("/file", Answer(status), Answer(status), Answer(200, BODY))
    _download(session, f"{peer.origin}/file", tmp_path / "got")
    assert len(peer.requests) == 3
    assert pauses == list(fetch.PAUSES)


def test_retry_after_is_heeded_up_to_a_limit(
    session: Session, peer: Registry, pauses: list[float]
) -> None:
    busy = [Answer(503, headers={"Retry-After": seconds}) for seconds in ("4", "3600")]
    peer.script("/file", *busy, Answer(200, b"ok"))
    assert fetch.read(session, f"{peer.origin}/file", max_bytes=10) == b"ok"
    assert pauses == [4, fetch.LONGEST_PAUSE]


def test_a_trouble_that_stays_is_reported_after_three_tries(
    session: Session, peer: Registry
) -> None:
    peer.script("/file", Answer(503))
    with pytest.raises(fetch.HttpStatusError) as caught:
        fetch.read(session, f"{peer.origin}/file", max_bytes=10)
    assert caught.value.status == 503
    assert len(peer.requests) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 500])
def test_a_servers_last_word_is_not_asked_again(
    session: Session, peer: Registry, tmp_path: Path, status: int
) -> None:
    peer.script("/file", Answer(status, BLOCK_PAGE, HTML))
    with pytest.raises(fetch.HttpStatusError) as caught:
        _download(session, f"{peer.origin}/file", tmp_path / "got")
    assert (caught.value.status, caught.value.page) == (status, True)
    assert len(peer.requests) == 1


def test_a_redirect_to_another_host_needs_its_name_or_a_digest(
    session: Session, tmp_path: Path
) -> None:
    authority = Authority(tmp_path / "ca", "localhost")
    trusting = [authority.ca]
    with Registry(tls=authority.server()) as here, Registry(tls=authority.server()) as there:
        elsewhere = there.origin.replace("127.0.0.1", "localhost")
        here.script("/a", Answer(302, headers={"Location": f"{elsewhere}/b?sig=s3cret"}))
        there.script("/b?sig=s3cret", Answer(200, BODY))

        def get(**more: object) -> digests.Digest:
            target = tmp_path / "got"
            return _download(session, f"{here.origin}/a", target, ca_files=trusting, **more)

        for refused in ({}, {"elsewhere": True, "digest": None}, {"hosts": ["host"]}):
            with pytest.raises(NetworkError, match="redirects to https://localhost") as caught:
                get(**refused)
            assert "portal" in caught.value.why
            assert "s3cret" not in str(caught.value)
        assert there.requests == []
        get(elsewhere=True)
        get(hosts=["localhost"])


def test_a_server_that_stops_sending_is_given_up(
    session: Session, peer: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "IDLE_TIMEOUT", 0.05)
    peer.script("/file", Answer(200, BODY, hold=threading.Event()))
    with pytest.raises(NetworkError, match="stopped sending"):
        _download(session, f"{peer.origin}/file", tmp_path / "got")
    assert not (tmp_path / "got").exists()


def test_a_slow_body_is_not_cut_by_a_total_timeout(
    session: Session, peer: Registry, tmp_path: Path, progress: Recorder
) -> None:
    gate = threading.Event()
    peer.script("/file", Answer(200, BODY, hold=gate))
    advance = threading.Event()
    before = progress.task

    def task(label: str, total: int | None) -> object:
        made = before(label, total)
        gate.set()  # the second half is only sent once the first is being read
        advance.set()
        return made

    progress.task = task  # type: ignore[method-assign, assignment]
    _download(session, f"{peer.origin}/file", tmp_path / "got")
    assert advance.is_set()
    assert (tmp_path / "got").read_bytes() == BODY


def test_a_web_page_in_place_of_the_file_is_named_as_such(
    session: Session, peer: Registry, tmp_path: Path
) -> None:
    peer.script("/file?sig=s3cret", Answer(200, BLOCK_PAGE, HTML))
    with pytest.raises(NetworkError, match="A web page came from") as caught:
        _download(session, f"{peer.origin}/file?sig=s3cret", tmp_path / "got")
    assert not (tmp_path / "got").exists()
    assert "s3cret" not in str(caught.value)


def test_redirects_are_followed_with_the_login_at_the_same_origin(
    session: Session, peer: Registry
) -> None:
    peer.script("/a", Answer(302, headers={"Location": "/b"}))
    peer.script("/b", Answer(307, headers={"Location": f"{peer.origin}/c"}))
    peer.script("/c", Answer(200, b"end"))
    got = fetch.read(
        session, f"{peer.origin}/a", max_bytes=10, headers={"Authorization": "Bearer t"}
    )
    assert got == b"end"
    assert [one.authorization for one in peer.requests] == ["Bearer t"] * 3


def test_the_login_stays_behind_when_a_redirect_leaves_the_origin(
    session: Session, peer: Registry
) -> None:
    with Registry() as elsewhere:
        peer.script("/a", Answer(302, headers={"Location": f"{elsewhere.origin}/b"}))
        # Back at the first origin it must not reappear: the way there was another's choice.
        elsewhere.script("/b", Answer(302, headers={"Location": f"{peer.origin}/c"}))
        peer.script("/c", Answer(200, b"end"))
        headers = {"authorization": "Bearer t", "Cookie": "c", "Accept": "x/y"}
        fetch.read(session, f"{peer.origin}/a", max_bytes=10, headers=headers)
        last = peer.requests[1].headers
        assert elsewhere.requests[0].authorization is None
        assert "cookie" not in elsewhere.requests[0].headers
        assert elsewhere.requests[0].headers["accept"] == "x/y"
        assert "authorization" not in last


def test_five_redirects_are_followed_and_not_six(session: Session, peer: Registry) -> None:
    for number in range(6):
        peer.script(f"/{number}", Answer(301, headers={"Location": f"/{number + 1}"}))
    peer.script("/6", Answer(200, b"end"))
    assert fetch.read(session, f"{peer.origin}/1", max_bytes=10) == b"end"
    with pytest.raises(NetworkError, match="more than 5 times"):
        fetch.read(session, f"{peer.origin}/0", max_bytes=10)


def test_https_never_goes_on_to_http(session: Session, peer: Registry, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    with Registry(tls=authority.server()) as secure:
        secure.script("/a", Answer(302, headers={"Location": f"{peer.origin}/b?key=s3cret"}))
        with pytest.raises(NetworkError, match="Only https may follow https") as caught:
            fetch.read(session, f"{secure.origin}/a", max_bytes=10, ca_files=[authority.ca])
    assert "s3cret" not in str(caught.value)
    assert peer.requests == []


def test_other_schemes_are_not_redirected_to(session: Session, peer: Registry) -> None:
    peer.script("/a", Answer(302, headers={"Location": "file:///etc/passwd"}))
    with pytest.raises(NetworkError, match="redirects to file:"):
        fetch.read(session, f"{peer.origin}/a", max_bytes=10)


def test_a_redirect_without_an_address_is_an_error_answer(session: Session, peer: Registry) -> None:
    peer.script("/a", Answer(302))
    with pytest.raises(fetch.HttpStatusError):
        fetch.read(session, f"{peer.origin}/a", max_bytes=10)


def test_an_untrusted_certificate_is_refused_at_once_and_the_way_out_named(
    session: Session, tmp_path: Path, pauses: list[float]
) -> None:
    with Registry(tls=Authority(tmp_path / "ca").server()) as secure:
        with pytest.raises(NetworkError) as caught:
            fetch.read(session, f"{secure.origin}/a", max_bytes=10)
        assert secure.requests == []
    assert 'is not trusted: "Test Inspection CA" has signed itself.' in caught.value.what
    assert "--ca FILE" in caught.value.next_step
    assert pauses == []


@pytest.mark.parametrize("variable", ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"])
def test_a_ca_file_that_the_environment_names_is_trusted(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    authority = Authority(tmp_path / "ca")
    monkeypatch.setenv(variable, str(authority.ca))
    with Registry(tls=authority.server()) as secure:
        secure.script("/a", Answer(200, b"ok"))
        assert fetch.read(session, f"{secure.origin}/a", max_bytes=10) == b"ok"


def test_a_refused_connection_names_the_host_and_the_proxy_variable(
    session: Session, tmp_path: Path, pauses: list[float]
) -> None:
    port = _closed_port()
    with pytest.raises(NetworkError) as caught:
        _download(session, f"http://user:s3cret@127.0.0.1:{port}/f", tmp_path / "got")
    assert caught.value.what == f"127.0.0.1:{port} refuses the connection."
    assert "HTTPS_PROXY" in caught.value.next_step
    assert "s3cret" not in str(caught.value)
    assert len(pauses) == 2


def test_a_name_that_does_not_exist_is_named(session: Session) -> None:
    with pytest.raises(NetworkError, match=r"no-such\.invalid:80 is not found: "):
        fetch.read(session, "http://no-such.invalid/", max_bytes=10)


def test_the_proxy_that_the_environment_names_is_used(
    session: Session, peer: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", peer.origin)
    peer.script("http://registry.invalid/a", Answer(200, b"through"))
    assert fetch.read(session, "http://registry.invalid/a", max_bytes=10) == b"through"


def test_a_proxy_that_refuses_is_blamed_without_its_password(
    session: Session, peer: Registry, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    # http.server answers CONNECT with 501, as a proxy that forbids it would with 403.
    monkeypatch.setenv("HTTPS_PROXY", peer.origin.replace("//", "//me:s3cret@"))
    with pytest.raises(NetworkError) as caught:
        fetch.read(session, "https://registry.invalid/a", max_bytes=10)
    said = f"The proxy {peer.origin} does not let registry.invalid:443 through: 501"
    assert caught.value.what.startswith(said)
    assert "HTTPS_PROXY names it" in caught.value.why
    assert "s3cret" not in str(caught.value)
    assert pauses == []


def test_a_proxy_variable_that_makes_no_sense_is_named(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "gopher://me:s3cret@proxy")
    with pytest.raises(SettingsError, match="HTTPS_PROXY does not name a proxy") as caught:
        fetch.read(session, "https://registry.invalid/a", max_bytes=10)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://[::1", "ftp://127.0.0.1/x", "no-scheme", "http://a b/"])
def test_an_unusable_address_is_a_network_error(session: Session, url: str) -> None:
    with pytest.raises(NetworkError):
        fetch.read(session, url, max_bytes=10)


def test_a_target_that_cannot_be_written_is_the_callers_matter(
    session: Session, peer: Registry, tmp_path: Path
) -> None:
    peer.script("/file", Answer(200, BODY))
    with pytest.raises(FileNotFoundError):
        _download(session, f"{peer.origin}/file", tmp_path / "missing" / "got")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes in folders")
def test_what_is_not_a_regular_file_is_never_removed(
    session: Session, peer: Registry, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    peer.script("/file", Answer(200, b"other bytes"))
    with pytest.raises(IntegrityError):
        _download(session, f"{peer.origin}/file", pipe)
    os.close(reader)
    assert pipe.is_fifo()


def test_origins_compare_with_their_default_ports() -> None:
    assert fetch.origin("https://Host/a") == fetch.origin("https://host:443/b")
    assert fetch.origin("https://host/a") != fetch.origin("http://host/a")
    assert fetch.origin("https://host:8443/") != fetch.origin("https://host/")


def test_importing_the_door_does_not_import_httpx() -> None:
    code = "import sys, pyodide_offline.network.fetch; sys.exit('httpx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=os.environ, check=False).returncode == 0
