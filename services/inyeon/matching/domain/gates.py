"""Hard gates: reasons why two people must not meet. No load, no fallback and no waiting time
relaxes one.

Gates of one person (asked before a pass): SANCTION, NOT_CLEAR, COOL_DOWN, AWAY or DISTRACTED,
SAFETY_PASS, AGE_UNKNOWN; of several the first in this order is told.
Gates between two people (asked both ways in a pass): AGE_BAND, GENDER, COUNTRY, LANGUAGE, BLOCKED,
REMATCH, SAME_USER. A difference of embedding space is no gate: such interests are not comparable,
so their similarity counts as 0.
"""

from __future__ import annotations

from enum import IntEnum


class Gate(IntEnum):
    """Reason codes; 0 is none."""

    OPEN = 0
    SANCTION = 1
    """A sanction is in force."""
    NOT_CLEAR = 2
    """The newest verdict is UNSURE or PROTECT."""
    AWAY = 3
    """No person in the picture, or no stream to the device."""
    SAFETY_PASS = 4
    """No safety pass, or an expired one."""
    AGE_UNKNOWN = 5
    """No declared age band: it might be either, so the strictest reading is that it meets nobody.
    """
    AGE_BAND = 6
    """Minors and adults never meet."""
    GENDER = 7
    """One is not of a gender that the other wants."""
    COUNTRY = 8
    """One is not from a country that the other wants."""
    LANGUAGE = 9
    """No common language, and no translation that both welcome and the platform has."""
    BLOCKED = 10
    """One blocked or reported the other, by any account that was seen on their devices."""
    REMATCH = 11
    """They met within the horizon."""
    SAME_USER = 12
    """One person: one account, or two that were seen on one device."""
    DISTRACTED = 13
    """A person in the picture who is busy with something else; told where AWAY would be."""
    COOL_DOWN = 14
    """Too many own faults in a row (faults.py)."""


class WaitReason(IntEnum):
    """Why somebody waits, with the numbers of the contract's WaitReason."""

    POOL_EMPTY = 1
    NO_ONE_FITS = 2
    AWAY = 3
    NO_SAFETY_PASS = 4
    NOT_CLEAR = 5
    SANCTIONED = 6
    SERVICE_PAUSED = 7
    NEXT_WAVE = 8
    DISTRACTED = 9
    AGE_UNKNOWN = 10
    COOL_DOWN = 11


PAUSES = {
    Gate.SANCTION: WaitReason.SANCTIONED,
    Gate.NOT_CLEAR: WaitReason.NOT_CLEAR,
    Gate.COOL_DOWN: WaitReason.COOL_DOWN,
    Gate.AWAY: WaitReason.AWAY,
    Gate.DISTRACTED: WaitReason.DISTRACTED,
    Gate.SAFETY_PASS: WaitReason.NO_SAFETY_PASS,
}
"""Gates that pause a ticket: they can open again by themselves, so the waiting time is kept and
stands still.
"""


def wait_reason(gate: Gate, others: int, candidates: int) -> WaitReason:
    """What to tell somebody with this gate, `others` other tickets in the pool and `candidates`
    people who fit.
    """
    if gate in PAUSES:
        return PAUSES[gate]
    if gate is Gate.AGE_UNKNOWN:
        return WaitReason.AGE_UNKNOWN
    if others == 0:
        return WaitReason.POOL_EMPTY
    return WaitReason.NEXT_WAVE if candidates else WaitReason.NO_ONE_FITS
