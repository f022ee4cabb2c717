"""workerd's binary: what keeps it from starting, and who patched its starter."""

import errno
import json

import pytest

from pyodide_offline.features import patch
from pyodide_offline.features.doctor import binary
from pyodide_offline.features.doctor.finding import State
from pyodide_offline.features.doctor.observed import Observed
from tests.peers import toolroom
from tests.unit.workers.test_miniflare import ORIGINAL

GLIBC = "/lib/libc.so.6: version `GLIBC_2.35' not found (required by workerd)"


def test_a_binary_that_starts_passes_with_its_version(observed):
    found = binary.workerd(observed)
    assert (found.state, found.summary) == (State.PASS, "workerd 2026-11-17 starts.")


def test_without_wrangler_there_is_nothing_to_start(session):
    assert binary.workerd(Observed(session)).state is State.SKIP


def test_a_lost_mode_can_be_mended(machine):
    program = toolroom.lay_out(machine.project)
    program.chmod(0o644)
    found = binary.workerd(Observed(machine))
    assert (found.state, found.blame, found.repair) == (State.FAIL, "toolchain", "workerd-mode")
    assert found.fix == f"chmod +x '{program}'"


@pytest.mark.parametrize(
    ("status", "says", "cause"),
    [
        (1, GLIBC, "It wants GLIBC_2.35"),
        (132, "", "An instruction that this CPU does not have"),
        (1, "odd words", "odd words"),
        (1, "", "It prints nothing"),
    ],
)
def test_what_it_says_is_explained(machine, status, says, cause):
    toolroom.lay_out(machine.project, status=status, says=says)
    found = binary.workerd(Observed(machine))
    assert (found.state, found.blame) == (State.FAIL, "toolchain")
    assert cause in found.cause


def test_a_binary_of_another_machine_is_told_by_the_system(machine):
    toolroom.lay_out(machine.project).write_bytes(b"\x7fELF" + bytes(60))
    found = binary.workerd(Observed(machine))
    assert "not for this machine" in found.cause


@pytest.mark.parametrize(
    ("number", "word"), [(errno.ENOENT, "musl"), (errno.EACCES, "noexec"), (None, "refuses")]
)
def test_the_systems_numbers_have_reasons(number, word):
    assert word in binary._why(number)


@pytest.fixture
def file(machine):
    folder = machine.project / "node_modules" / "miniflare"
    (folder / "dist" / "src").mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps({"name": "miniflare", "version": "5"}))
    path = folder / "dist" / "src" / "index.js"
    path.write_text(ORIGINAL)
    return path


def test_a_miniflare_as_its_makers_wrote_it_passes(machine, file):
    assert binary.patched(Observed(machine)).summary == "miniflare: original."


def test_a_patch_for_this_folder_passes_and_for_another_one_warns(machine, file):
    patch.apply(machine, check=False)
    assert binary.patched(Observed(machine)).summary == "miniflare: patched."
    text = file.read_text().replace(str(machine.cache_dir), "/elsewhere")
    file.write_text(text)
    found = binary.patched(Observed(machine))
    assert (found.state, found.repair) == (State.WARN, "patch")
    assert "/elsewhere" in found.summary


def test_a_patch_that_an_upgrade_took_away_is_missed_until_it_is_reverted(machine, file):
    patch.apply(machine, check=False)
    patched = file.read_text()
    manifest = file.parents[2] / "package.json"
    upgraded = manifest.read_text().replace('"5"', '"6"')
    file.write_text(ORIGINAL)
    manifest.write_text(upgraded)
    found = binary.patched(Observed(machine))
    assert (found.state, found.repair) == (State.WARN, "patch")
    assert "was patched in miniflare 5, and is not in 6" in found.summary
    file.write_text(patched)
    patch.revert(machine, check=False)
    assert binary.patched(Observed(machine)).state is State.PASS


def test_half_a_patch_is_a_fault(machine, file):
    patch.apply(machine, check=False)
    lines = [line for line in file.read_text().splitlines(True) if "patch ends" not in line]
    file.write_text("".join(lines))
    found = binary.patched(Observed(machine))
    assert (found.state, found.repair, found.evidence["file"]) == (State.FAIL, "patch", str(file))


def test_a_patch_by_hand_is_a_warning_with_its_line(machine, file):
    added = '"--experimental",\n    "--pyodide-bundle-disk-cache-dir=/x",'
    file.write_text(ORIGINAL.replace('"--experimental",', added))
    found = binary.patched(Observed(machine))
    assert found.state is State.WARN
    assert "by hand" in found.summary
    assert "pyodide-bundle-disk-cache-dir=/x" in found.cause


def test_no_miniflare_is_no_fault(session):
    assert binary.patched(Observed(session)).state is State.SKIP
