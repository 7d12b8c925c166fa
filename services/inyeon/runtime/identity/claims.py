"""Claims of a verified token. They come from nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum


class AgeBand(Enum):
    """Declared age band. Unknown is treated as the strictest."""

    UNKNOWN = "unknown"
    MINOR = "minor"
    ADULT = "adult"


class Gender(Enum):
    """Declared gender."""

    UNKNOWN = "unknown"
    FEMALE = "female"
    MALE = "male"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Claims:
    """Facts about the caller, signed by the issuer."""

    subject: str
    """Random subject id, at most 64 characters of [A-Za-z0-9_-]."""
    audience: str
    expires_at: datetime
    age_band: AgeBand = AgeBand.UNKNOWN
    country: str = ""
    """ISO 3166-1 alpha-2, or empty."""
    gender: Gender = Gender.UNKNOWN
    roles: frozenset[str] = frozenset()
    """Such as reviewer, operator, internal."""
    device_key: str = ""
    """RFC 7638 thumbprint of the device's key, or empty."""
