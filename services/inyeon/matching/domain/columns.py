"""The pool's columns: one structured array, a row a waiting ticket. Times are seconds of a
monotonic clock.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.domain.languages import tag_code
from inyeon.matching.domain.people import COUNTRY_CODES, Gender, country_index
from inyeon.matching.domain.tickets import MAX_LANGUAGES, Ticket

COUNTRY_BYTES = COUNTRY_CODES // 8 + 1
NO_COUNTRY = COUNTRY_CODES
"""Not declared: its bit is set in nobody's wish, so only those who want any country meet such a
person.
"""
ANY_GENDER = (1 << len(Gender)) - 1

ROW = np.dtype(
    [
        ("used", np.bool_),
        ("arrival", np.int64),  # order in which tickets came
        ("age", np.uint8),
        ("gender_bit", np.uint8),
        ("wanted_genders", np.uint8),  # bit g: gender g is wanted
        ("country", np.int16),
        ("limited", np.bool_),  # wants certain countries only
        ("wanted_countries", np.uint8, (COUNTRY_BYTES,)),
        ("tags", np.int32, (MAX_LANGUAGES,)),  # 0: none
        ("levels", np.uint8, (MAX_LANGUAGES,)),
        ("welcome", np.bool_),  # translation is welcome
        ("space", np.int64),
        ("slot", np.int64),
        ("started", np.float64),
        ("paused_s", np.float64),
        ("paused_since", np.float64),  # NaN: not paused
        ("absent_since", np.float64),  # NaN: in the picture; -inf: not seen yet
        ("heard_at", np.float64),
        ("pass_until", np.float64),
        ("lets_meet", np.bool_),
        ("sanctioned_until", np.float64),
    ]
)
"""338 bytes; beside it lie the ticket and its vector."""


def write_ticket(row: np.void, ticket: Ticket) -> None:
    """Fills in what a ticket says and never changes."""
    person, wish = ticket.person, ticket.wish
    row["age"] = person.age_band
    row["gender_bit"] = 1 << person.gender
    row["wanted_genders"] = sum(1 << gender for gender in wish.genders) or ANY_GENDER
    row["country"] = country_index(person.country, "country") if person.country else NO_COUNTRY
    row["limited"] = bool(wish.countries)
    row["wanted_countries"] = _country_bits(wish.countries)
    row["tags"], row["levels"] = _languages(ticket)
    row["welcome"] = wish.translation_welcome


def _country_bits(countries: frozenset[str]) -> NDArray[np.uint8]:
    bits = np.zeros(COUNTRY_BYTES * 8, np.bool_)
    bits[[country_index(code, "wish.countries") for code in countries]] = True
    return np.packbits(bits, bitorder="little")


def _languages(ticket: Ticket) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    tags = np.zeros(MAX_LANGUAGES, np.int32)
    levels = np.zeros(MAX_LANGUAGES, np.uint8)
    for place, spoken in enumerate(ticket.wish.languages):
        tags[place], levels[place] = tag_code(spoken.tag, "wish.languages"), spoken.level
    return tags, levels
