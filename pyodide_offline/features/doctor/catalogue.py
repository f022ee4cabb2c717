"""All checks there are, in the order in which people read them."""

from pyodide_offline.features.doctor import names
from pyodide_offline.features.doctor.check import Check

CHECKS: tuple[Check, ...] = (*names.CHECKS,)
