"""Shared options, and the session made of them."""

import subprocess
import sys
from pathlib import Path

import click
import pytest
import trustme

from pyodide_offline import paths
from pyodide_offline.cli import bars, options
from pyodide_offline.errors import SettingsError
from pyodide_offline.network import rescue, targets
from pyodide_offline.progress import Silent


def test_folders_are_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = options.session(cache_dir=Path("c"), store_dir=Path("s"), project=Path("p"))
    assert made.cache_dir == tmp_path / "c"
    assert made.store.root == tmp_path / "s"
    assert made.project == tmp_path / "p"


def test_without_options_the_variables_hold(tmp_path, monkeypatch):
    monkeypatch.setenv(paths.STORE_VARIABLE, str(tmp_path / "s"))
    monkeypatch.setenv(paths.CACHE_VARIABLE, str(tmp_path / "c"))
    made = options.session(cache_dir=None, store_dir=None)
    assert (made.store.root, made.cache_dir) == (tmp_path / "s", tmp_path / "c")


def test_quiet_is_silent_and_a_log_gets_lines(tmp_path, monkeypatch):
    named = {"cache_dir": tmp_path, "store_dir": tmp_path}
    assert isinstance(options.session(**named, quiet=True).progress, Silent)
    monkeypatch.setenv("CI", "true")
    assert isinstance(options.session(**named).progress, bars.Lines)


def test_a_named_ca_reaches_all_programs_of_the_session_and_of_sessions_within(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("ca.pem").write_bytes(trustme.CA().cert_pem.bytes())
    folders = {"cache_dir": tmp_path, "store_dir": tmp_path / "s"}
    environ = options.session(**folders, ca=[Path("ca.pem")]).environ
    assert environ[paths.CA_VARIABLE] == str(tmp_path / "ca.pem")
    assert Path(environ["SSL_CERT_FILE"]).parent == tmp_path / "s" / "v1" / "trust"
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(tmp_path / "ca.pem"))
    assert "SSL_CERT_FILE" not in options.session(**folders).environ
    assert "SSL_CERT_FILE" in options.session(**folders, ca=()).environ


def test_a_ca_that_cannot_be_used_is_an_error(tmp_path):
    with pytest.raises(SettingsError, match="cannot be used"):
        options.session(cache_dir=tmp_path, store_dir=tmp_path, ca=[tmp_path / "none.pem"])


def test_a_session_with_no_ca_named_loads_no_tls():
    code = (
        "import sys; from pathlib import Path; from pyodide_offline.cli import options;"
        "options.session(cache_dir=Path('c'), store_dir=Path('s'), ca=());"
        "print([name for name in ('ssl', 'cryptography', 'truststore') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_text_that_means_nothing_is_wrong_use_of_its_option():
    assert options.parsed(targets.port, "80", "--publish") == targets.Port(80, 80)
    with pytest.raises(click.BadParameter, match="no port") as caught:
        options.parsed(targets.port, "x", "--publish")
    assert caught.value.param_hint == "--publish"


def test_a_named_proxy_is_handed_on_to_programs_only_where_that_is_meant(tmp_path, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://old:1")
    named = {"cache_dir": tmp_path, "store_dir": tmp_path, "proxies": ("http://new:3128",)}
    assert options.session(**named).environ["HTTPS_PROXY"] == "http://old:1"
    made = options.session(**named, hand_on=True)
    assert made.environ["HTTPS_PROXY"] == made.environ["http_proxy"] == "http://new:3128"
    assert made.proxies == ("http://new:3128",)


def test_resolvers_of_a_config_file_count_for_downloads_too(tmp_path, monkeypatch):
    monkeypatch.delenv("PYODIDE_OFFLINE_RESOLVER", raising=False)
    named = {"cache_dir": tmp_path, "store_dir": tmp_path, "hand_on": True}
    context = click.Context(click.Command("run"), default_map={"resolver": ["https://d.test/q"]})
    with context.scope():
        assert options.session(**named).environ[rescue.RESOLVER_VARIABLE] == "https://d.test/q"
        monkeypatch.setenv("PYODIDE_OFFLINE_RESOLVER", "https://own.test/q")
        assert options.session(**named).environ[rescue.RESOLVER_VARIABLE] == "https://own.test/q"


def test_a_mirror_is_named_to_all_programs_after_the_cas_of_settings_that_it_leaves_out(
    tmp_path, monkeypatch
):
    Path(tmp_path, "ca.pem").write_bytes(trustme.CA().cert_pem.bytes())
    Path(tmp_path, "pip.conf").write_text(f"[global]\ncert = {tmp_path / 'ca.pem'}\n")
    monkeypatch.delenv("PIP_CERT", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    named = {"cache_dir": tmp_path, "store_dir": tmp_path / "s"}
    made = options.session(**named, ca=(), mirror="https://mirror.corp").environ
    assert made["npm_config_registry"] == "https://mirror.corp/npm/"
    assert Path(made["PIP_CERT"]).parent == tmp_path / "s" / "v1" / "trust"
    assert "PYODIDE_OFFLINE_MIRROR" not in options.session(**named).environ
    with pytest.raises(SettingsError, match="--mirror"):
        options.session(**named, mirror="mirror.corp")
