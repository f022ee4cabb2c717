from pyodide_offline.network import gateway

ROUTE = """\
Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	0100A8C0	0003	0	0	0	00000000	0	0	0
eth0	0000A8C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
"""
ARP = """\
IP address       HW type     Flags       HW address            Mask     Device
192.168.0.7      0x1         0x2         02:00:00:00:00:07     *        eth0
192.168.0.1      0x1         0x2         02:00:00:00:00:01     *        eth0
"""
ROUTE6 = (
    f"{'0' * 32} 00 {'0' * 32} 00 fe80{'0' * 27}1 00000400 00000001 00000000 00000003     eth0\n"
    f"{'0' * 32} 00 {'0' * 32} 00 {'0' * 32} ffffffff 00000001 00000000 00200200       lo\n"
)


def test_the_gateway_by_its_address_and_its_hardware() -> None:
    assert gateway.from_tables(ROUTE, ARP, ROUTE6) == "192.168.0.1 02:00:00:00:00:01"


def test_one_that_was_not_spoken_to_yet_is_known_by_its_interface() -> None:
    assert gateway.from_tables(ROUTE, ARP.splitlines()[0], "") == "192.168.0.1 eth0"


def test_ipv6_where_there_is_no_other() -> None:
    assert gateway.from_tables(ROUTE.splitlines()[0], ARP, ROUTE6) == f"fe80{'0' * 27}1 eth0"


def test_no_gateway_and_tables_that_make_no_sense() -> None:
    assert gateway.from_tables("", "", "") == ""
    assert gateway.from_tables("x\ny z\n", "x", "y z") == ""
    assert gateway.from_tables("", "", ROUTE6.splitlines()[1]) == ""


def test_this_machine_has_an_answer() -> None:
    assert isinstance(gateway.identity(), str)
    assert gateway.leads_out() in (True, False)
