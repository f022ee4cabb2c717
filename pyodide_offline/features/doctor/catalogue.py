"""All checks there are, in the order in which people read them."""

from pyodide_offline.features.doctor import binary, bundle, folders, machine, names, programs
from pyodide_offline.features.doctor.check import Check

CHECKS: tuple[Check, ...] = (
    *names.CHECKS,
    *programs.CHECKS,
    *binary.CHECKS,
    *bundle.CHECKS,
    *folders.CHECKS,
    *machine.CHECKS,
)
