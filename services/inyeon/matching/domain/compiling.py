"""Compiled inner loops: numba's compiler behind one typed decorator.

Compiled on first use and cached on disk beside the module, or in the user's cache folder where that
cannot be written (NUMBA_CACHE_DIR names another). Floating point is strict (no reordering, no fused
operations), so that every machine gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """The function, compiled; it lets go of the interpreter's lock while it runs."""
    return _cached(function)


def inlined(function: Function) -> Function:
    """A part of compiled functions; its arguments cost nothing."""
    return cast(Function, njit(inline="always")(function))


def any_order(function: Function) -> Function:
    """As `compiled`, free to sum in any order: only for sums of whole numbers below 2**24, which
    are exact in float32 in every order."""
    return _cached(function, fastmath=True)


def _cached(function: Function, fastmath: bool = False) -> Function:
    try:
        made = njit(cache=True, nogil=True, fastmath=fastmath)(function)
    except RuntimeError:  # no folder can be written: each process compiles for itself
        made = njit(nogil=True, fastmath=fastmath)(function)
    return cast(Function, made)
