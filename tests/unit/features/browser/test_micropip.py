"""An index for micropip in the folder."""

import hashlib
import re

from pyodide_offline.features.browser import micropip
from tests.peers.wheels import wheel


def test_each_wheel_has_a_page_with_relative_addresses_and_digests(tmp_path):
    packages = tmp_path / "packages"
    path = wheel(packages, "Some.Name")
    assert micropip.write_index(tmp_path, packages) == "simple/"
    page = tmp_path / "simple" / "some-name" / "index.html"
    ((address, digest),) = re.findall(r'href="([^"#]+)#sha256=(\w+)"', page.read_text())
    assert (page.parent / address).resolve() == path
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    metadata = packages / f"{path.name}.metadata"
    assert hashlib.sha256(metadata.read_bytes()).hexdigest() in page.read_text()
