"""Archives that nobody should trust, made by the standard library's writers."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

Member = tuple[tarfile.TarInfo, bytes]


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def tar(path: Path, *members: Member, mode: str = "w:gz", form: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, mode, format=form) as archive:  # type: ignore[call-overload]
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def zipped(path: Path, *members: tuple[str, bytes], mode: int = 0o100644) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = mode << 16
            archive.writestr(info, content)
    return path


def both(path: Path, names: Sequence[str]) -> list[Path]:
    """Return a tar and a zip whose empty files have these names."""
    return [
        tar(path / "a.tgz", *((member(name), b"") for name in names)),
        zipped(path / "a.zip", *((name, b"") for name in names)),
    ]


def gzip_bomb(path: Path, size: int) -> Path:
    """Write a tar of one file of zeros, a thousandth as large."""
    with gzip.open(path, "wb", 9) as out, tarfile.open(fileobj=out, mode="w|") as archive:
        info = member("zeros")
        info.size = size
        archive.addfile(info, _Zeros(size))  # type: ignore[arg-type]
    return path


class _Zeros:
    def __init__(self, size: int) -> None:
        self.left = size

    def read(self, size: int) -> bytes:
        size = min(size, self.left)
        self.left -= size
        return bytes(size)
