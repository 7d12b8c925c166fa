"""What the person looks for, as matching's Wish."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from inyeon_edge.errors import SettingsRefused
from inyeon_edge.text.encoder import InterestVector
from inyeon_protos.common.v1.identity_pb2 import Gender
from inyeon_protos.common.v1.vector_pb2 import EmbeddingSpace, Vector, VectorEncoding
from inyeon_protos.matching.v1.matching_pb2 import SpokenLanguage, Wish

MOST_LANGUAGES = 8


@dataclass(frozen=True, slots=True)
class Language:
    """A language and how well: 1 (a little) to 5 (first language)."""

    tag: str
    level: int


def parse_languages(text: str) -> tuple[Language, ...]:
    """Reads `en:5,fr:2`, best first; a tag alone means 5. Raises SettingsRefused (`languages`)."""
    languages = []
    for part in filter(None, (each.strip() for each in text.split(","))):
        found = re.fullmatch(r"([a-z]{2,3})(?::([1-5]))?", part)
        if found is None:
            raise SettingsRefused(f"{part!r} is not like en:5", field="languages")
        languages.append(Language(found[1], int(found[2] or 5)))
    if not 1 <= len(languages) <= MOST_LANGUAGES:
        raise SettingsRefused(f"1 to {MOST_LANGUAGES} languages are needed", field="languages")
    return tuple(sorted(languages, key=lambda language: -language.level))


def make_wish(
    languages: tuple[Language, ...],
    interests: InterestVector,
    genders: tuple[str, ...] = (),
    countries: tuple[str, ...] = (),
    translation_welcome: bool = True,
) -> Wish:
    """The wish on the wire. Languages as given, best first."""
    return Wish(
        languages=[SpokenLanguage(tag=each.tag, level=each.level) for each in languages],
        genders=[Gender.Value(f"GENDER_{each.upper()}") for each in genders],
        countries=countries,
        interests=interest_vector(interests),
        translation_welcome=translation_welcome,
    )


def interest_vector(interests: InterestVector) -> Vector:
    """One little-endian float32 scale, then a signed byte a dimension."""
    space = EmbeddingSpace(
        model=interests.model,
        version=interests.version,
        dims=len(interests.steps),
        encoding=VectorEncoding.VECTOR_ENCODING_INT8_SCALED,
    )
    return Vector(space=space, data=struct.pack("<f", interests.scale) + interests.steps.tobytes())
