"""Which bundles a workerd of a lock will ask for: its own binary is asked, out of its archive."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from pyodide_offline import archive
from pyodide_offline.errors import WorkerdError
from pyodide_offline.features.mirror.locked import NPM, Want
from pyodide_offline.features.mirror.sync import Bundle
from pyodide_offline.store import Store
from pyodide_offline.workers import pythons
from pyodide_offline.workers.toolchain import platforms


def among(wants: Sequence[Want]) -> list[Want]:
    """Return the packages that hold a workerd for this machine."""
    name = platforms.workerd_package()
    return [one for one in wants if one.kind == NPM and one.name == name]


def bundles(store: Store, tarball: Path) -> list[Bundle]:
    """Return each bundle that the workerd in a package asks for, with the digest it carries.

    The package was checked against a lock: what is started here is what ``run`` starts.
    Raises WorkerdError where it does not start on this machine.
    """
    program = platforms.executable("workerd")
    with tempfile.TemporaryDirectory(prefix="pyodide-offline-") as folder:
        binary = Path(folder) / program
        for file in archive.files(tarball):
            if file.name.split("/")[1:] == ["bin", program]:
                with binary.open("wb") as target:
                    target.writelines(file.chunks())
                break
        else:
            raise WorkerdError(f"There is no {program} in {tarball.name}.")
        binary.chmod(0o755)
        offers = pythons.every(store, binary, pythons.own_date(binary))
    found = {urlsplit(one.want.url).path: one.want.digest for one in offers}
    return [Bundle(path, digest) for path, digest in sorted(found.items())]
