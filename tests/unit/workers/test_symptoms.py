"""workerd's words, old and new, as they were seen."""

import pytest

from pyodide_offline.workers import symptoms

URL = "https://pyodide-capnp-bin.edgeworker.net/pyodide_x.capnp.bin"
SEEN = {
    "bundle-unreachable": [
        f"bridge.rs:843: failed: Request for Pyodide bundle failed; url = {URL}; failed to "
        "lookup address information: Name or service not known",
        "*** Fatal uncaught kj::Exception: kj/async-io.c++:1: failed: DNS lookup failed.; "
        "params.host = pyodide-capnp-bin.edgeworker.net",
    ],
    "untrusted": [
        "*** Fatal uncaught kj::Exception: tls.c++:1: failed: TLS peer's certificate is not "
        "trusted; reason = unable to get local issuer certificate",
        f"Request for Pyodide bundle failed; url = {URL}; TLS handshake failed: invalid peer "
        "certificate: UnknownIssuer",
    ],
    "wrong-digest": [
        "failed: Pyodide bundle integrity check failed: the bundle does not match the expected "
        "checksum.; version = 314.0.6_1; expectedIntegrity = sha256-AA=; actualIntegrity = "
        "sha256-BB=",
    ],
    "broken-bundle": [
        "capnp/serialize.c++:215: failed: expected; Message ends prematurely in segment table.",
        "Message did not contain a root pointer.",
    ],
    "cache-unreadable": [
        "failed: Pyodide bundle disk cache: /tmp/c/pyodide_x.capnp.bin: Permission denied "
        "(os error 13)\n",
    ],
    "address-in-use": [
        'Socket "http": bind(): Address already in use (os error 98)',
        "listen EADDRINUSE: address already in use 127.0.0.1:8787",
    ],
    "glibc": ["/w: /lib/libc.so.6: version `GLIBC_2.35' not found (required by /w)"],
    "not-executable": ["pyodide-offline: workerd cannot be started: /w: Permission denied"],
    "unknown-flag": ["service w: No such compatibility flag: python_workers_9"],
    "unknown-option": [
        "error: unexpected argument '--nonsense' found",
        "workerd: --nonsense: unrecognized option: --nonsense",
    ],
    "contradiction": ["Compatibility flags are mutually contradictory: no_x vs x"],
    "pyodide-version": ["PythonWorkersInternalError: Pyodide version mismatch, expected '314.0.6'"],
    "no-sdk": ["ModuleNotFoundError: No module named 'workers'"],
    "no-module": ["ModuleNotFoundError: No module named 'numpy.linalg'"],
}


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, texts in SEEN.items() for text in texts]
)
def test_each_text_has_its_lines(name, text):
    found = symptoms.recognised(f"some line before\n{text}\nstack: /w@1 /w@2\n")
    assert found is not None
    assert found.id == name
    assert 2 <= len(found.lines()) <= 3
    assert found.next_step


def test_every_rule_was_seen():
    assert {name for name, _, _ in symptoms._RULES} == set(SEEN)


def test_the_cause_comes_before_what_follows_from_it():
    both = SEEN["cache-unreadable"][0] + SEEN["bundle-unreachable"][0]
    found = symptoms.recognised(both)
    assert found is not None
    assert found.id == "cache-unreadable"


def test_names_of_the_text_are_in_the_lines():
    found = symptoms.recognised(SEEN["wrong-digest"][0])
    assert found is not None
    assert found.lines()[:2] == [
        "The bundle 314.0.6_1 that workerd found is not the one that it must be.",
        "It must have sha256-AA=.",
    ]
    found = symptoms.recognised(SEEN["cache-unreadable"][0])
    assert found is not None
    assert "/tmp/c/pyodide_x.capnp.bin: Permission denied." in found.what


@pytest.mark.parametrize("text", ["", "GET / 200 OK", "TypeError: x is not a function"])
def test_other_words_are_not_explained(text):
    assert symptoms.recognised(text) is None


def test_a_taken_port_names_its_holder_and_the_next_one():
    assert symptoms.port_taken(8787, "node (pid 7)").lines() == [
        "Port 8787 is taken: node (pid 7) listens there.",
        "End it, or name another port: --port 8788",
    ]


def test_what_is_told_ends_where_workerds_json_goes_on():
    text = f'{{"message":"Request for Pyodide bundle failed; url = {URL}; no name","depth":0}}'
    found = symptoms.recognised(text)
    assert found is not None
    assert found.what.endswith("could not: no name.")
