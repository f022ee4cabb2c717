import platform
import sys

import pytest

from pyodide_offline.workers.toolchain import platforms


@pytest.mark.parametrize(
    ("system", "machine", "name"),
    [
        ("linux", "x86_64", "@cloudflare/workerd-linux-64"),
        ("linux", "aarch64", "@cloudflare/workerd-linux-arm64"),
        ("darwin", "arm64", "@cloudflare/workerd-darwin-arm64"),
        ("win32", "AMD64", "@cloudflare/workerd-windows-64"),
        ("linux", "riscv64", None),
        ("freebsd14", "amd64", None),
    ],
)
def test_workerd_package(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str, name: str | None
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert platforms.workerd_package() == name


def test_names_are_file_names() -> None:
    assert platforms.abi() == f"cp3{sys.version_info.minor}" or "t" in platforms.abi()
    assert "/" not in platforms.here()


def test_executable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert platforms.executable("uv") == "uv.exe"
    monkeypatch.setattr(sys, "platform", "linux")
    assert platforms.executable("uv") == "uv"
