"""A program that cannot connect to anything, on Linux: a question put to workerd asks nobody.

Asked which bundle it wants, workerd says so and goes on to fetch it. Ending it at that word
is a race, which a look-up of a name has won. A filter of system calls has no race
(seccomp(2), and its classic BPF in linux/filter.h). Where the kernel or the container does
not take one, the program runs without.

A filter is a thread's own and its children's, for good: so it is a thread of its own that
starts the program, and nothing else of this process is touched.
"""

import ctypes
import platform
import struct
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# AUDIT_ARCH_… and connect's number there.
_NUMBERS = {"x86_64": (0xC000003E, 42), "aarch64": (0xC00000B7, 203)}
_NO_NEW_PRIVS, _SECCOMP, _FILTER = 38, 22, 2  # prctl's
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06  # BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ, BPF_RET
_ALLOW, _UNREACHABLE = 0x7FFF0000, 0x00050000 | 101  # SECCOMP_RET_ERRNO with ENETUNREACH


def start(words: Sequence[str | Path]) -> "subprocess.Popen[str]":
    """Start a program whose output, of both streams, is read. OSError passes."""

    def popen() -> "subprocess.Popen[str]":
        numbers = _NUMBERS.get(platform.machine())
        if sys.platform == "linux" and numbers:
            _forbid(*numbers)
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )

    with ThreadPoolExecutor(1) as once:
        return once.submit(popen).result()


def _forbid(architecture: int, connect: int) -> None:
    """Have this thread, and whom it starts, find every network unreachable."""
    steps = (
        (_LOAD, 0, 0, 4),  # of struct seccomp_data: the architecture, at 0 the call's number
        (_EQUAL, 0, 3, architecture),
        (_LOAD, 0, 0, 0),
        (_EQUAL, 0, 1, connect),
        (_RETURN, 0, 0, _UNREACHABLE),
        (_RETURN, 0, 0, _ALLOW),
    )
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *one) for one in steps))
    program = ctypes.create_string_buffer(struct.pack("@HP", len(steps), ctypes.addressof(code)))
    prctl = ctypes.CDLL(None).prctl
    prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)  # without it only root may
    prctl(_SECCOMP, _FILTER, ctypes.c_void_p(ctypes.addressof(program)), 0, 0)
