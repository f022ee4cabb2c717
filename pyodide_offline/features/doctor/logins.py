"""Which logins the package registries get, and where each is written; never the login."""

from typing import Any

from pyodide_offline.distribution import npmrc
from pyodide_offline.features.doctor import places
from pyodide_offline.features.doctor.check import Check
from pyodide_offline.features.doctor.finding import Finding, passed, skipped, warned
from pyodide_offline.features.doctor.observed import Observed


def npm(observed: Observed) -> Finding:
    """Look for the login of the npm registry, as npm does."""
    place = places.npm(observed)
    if place is None:
        return skipped("There is no npm here yet.")
    config = npmrc.load(observed.environ, observed.project, None)
    login = config.login(place.url)
    if login is None and (astray := config.misplaced_login()):
        return warned(
            f"The login in {astray.source} names no registry, so npm sends it to none.",
            "npm 9 and later want it under the registry's own address.",
            f"npm config fix, or write: //{place.host}/:_authToken=…",
            source=astray.source,
        )
    if login is None:
        return passed(f"{place.host} gets no login: none is written for it.")
    evidence: dict[str, Any] = {"key": login.key.rpartition(":")[2], "source": login.source}
    if login.problem:
        return warned(
            f"The login for {place.host} in {login.source} cannot be used: it {login.problem}.",
            fix=f"Correct the line in {login.source}.",
            **evidence,
        )
    return passed(f"{place.host} gets the login that is in {login.source}.", **evidence)


CHECKS = (Check("tool.npm-login", "Which login does the npm registry get?", npm),)
