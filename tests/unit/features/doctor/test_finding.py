from pyodide_offline.features.doctor.finding import State, failed, passed, skipped, warned


def test_only_a_failure_and_a_timeout_are_bad() -> None:
    assert failed("no").bad
    assert not any(one("x").bad for one in (passed, skipped, warned))


def test_what_is_named_beside_the_text_is_evidence() -> None:
    finding = warned("slow", "far away", "move", blame="network", repair="r", seconds_seen=3)
    assert finding.state is State.WARN
    assert (finding.cause, finding.fix, finding.blame) == ("far away", "move", "network")
    assert finding.repair == "r"
    assert finding.evidence == {"seconds_seen": 3}
