"""Keeps the heap of a small device small.

glibc gives every thread an arena of its own and, once large blocks have been freed, serves blocks
of up to 32 MB from them, so freed pictures stay resident. Two arenas and a fixed trim threshold
(which also ends the growing of the mmap threshold, see mallopt(3)) gave three agents and the
platform 1,440 MB together instead of 1,860.
"""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD = -1
M_ARENA_MAX = -8
ARENAS = 2  # the loop's thread and the picture's thread allocate at the same time, no others
TRIM_BYTES = 65_536


def bound_heap() -> bool:
    """Call before threads start. False where the C library is not glibc; nothing changes then."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(M_ARENA_MAX, ARENAS) and mallopt(M_TRIM_THRESHOLD, TRIM_BYTES))
