from pyodide_offline.features.doctor.check import Check
from pyodide_offline.features.doctor.finding import passed


def test_the_domain_is_the_first_part_of_the_id() -> None:
    assert Check("proxy.tunnel", "?", lambda _: passed("yes")).domain == "proxy"
