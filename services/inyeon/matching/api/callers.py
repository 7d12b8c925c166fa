"""Who speaks on a Seek stream, and what is said: the same whichever replica holds the stream."""

from __future__ import annotations

from dataclasses import dataclass

from inyeon.matching.domain.people import AgeBand, Gender, Person, country_index
from inyeon.runtime.identity.claims import Claims
from inyeon_protos.matching.v1.matching_pb2 import SeekRequest


@dataclass(frozen=True, slots=True)
class Caller:
    """A device's session at the moment it says something."""

    session_id: str
    epoch: int
    """Of the session: what an earlier one says late no longer counts."""
    claims: Claims

    @property
    def user_id(self) -> str:
        """Whose device."""
        return self.claims.subject


@dataclass(frozen=True, slots=True)
class Opened:
    """The stream is open: the device wants to know where it stands."""


@dataclass(frozen=True, slots=True)
class Said:
    """A message of the device."""

    message: SeekRequest


@dataclass(frozen=True, slots=True)
class Closed:
    """The stream is over."""

    for_good: bool
    """The device ended the session: its ticket is cancelled."""


Verb = Opened | Said | Closed


def person_of(claims: Claims) -> Person:
    """Facts of a token. Raises WishRefused for a country that is none."""
    if claims.country:
        country_index(claims.country, "token.country")
    return Person(
        claims.subject,
        AgeBand[claims.age_band.name],
        claims.country,
        Gender[claims.gender.name],
    )
