"""All checks there are, in the order in which people read them."""

from pyodide_offline.features.doctor import (
    binary,
    bundle,
    bypass,
    certificates,
    direct,
    folders,
    logins,
    machine,
    mirror,
    names,
    programs,
    proxies,
    registries,
    stores,
)
from pyodide_offline.features.doctor.check import Check

CHECKS: tuple[Check, ...] = (
    *mirror.CHECKS,
    *names.CHECKS,
    *proxies.CHECKS,
    *bypass.CHECKS,
    *direct.CHECKS,
    *stores.FILES,
    *certificates.CHECKS,
    *direct.ROUTE,
    *registries.CHECKS,
    *logins.CHECKS,
    *stores.PROGRAMS,
    *certificates.CLOCK,
    *programs.CHECKS,
    *binary.CHECKS,
    *bundle.CHECKS,
    *folders.CHECKS,
    *machine.CHECKS,
)
