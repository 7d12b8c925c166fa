"""Facts of a conversation as protobuf messages, and back."""

from __future__ import annotations

from datetime import UTC, datetime

from inyeon.runtime.identity.statements import StatementVerifier
from inyeon.runtime.identity.statements_pb import unseal
from inyeon.translation.domain.answers import Tier
from inyeon.translation.domain.conversation import Caption, Grant
from inyeon.translation.domain.screening import Screen
from inyeon_protos.common.v1.identity_pb2 import MatchGrant, SignedStatement
from inyeon_protos.translation.v1 import translation_pb2 as pb


def caption_to_message(caption: Caption) -> pb.Caption:
    """As it goes to a device."""
    return pb.Caption(
        match_id=caption.match_id,
        author_id=caption.author_id,
        segment_id=caption.segment_id,
        revision=caption.revision,
        text=caption.text,
        stable_prefix=caption.stable_prefix,
        is_final=caption.is_final,
        source_language=caption.source_language,
        target_language=caption.target_language,
        tier=pb.Tier.ValueType(caption.tier.value),
        quality=caption.quality,
        untranslated=caption.untranslated,
        mac=caption.mac,
        author_sequence=caption.author_sequence,
        original_sha256=caption.original_sha256,
        screen=pb.Screen.ValueType(caption.screen.value),
        screen_reason=caption.screen_reason,
    )


def caption_from_message(message: pb.Caption) -> Caption:
    """As another replica sent it. Raises ValueError for a tier or screen that this version does not
    know."""
    return Caption(
        match_id=message.match_id,
        author_id=message.author_id,
        segment_id=message.segment_id,
        revision=message.revision,
        text=message.text,
        stable_prefix=message.stable_prefix,
        is_final=message.is_final,
        source_language=message.source_language,
        target_language=message.target_language,
        tier=Tier(message.tier),
        quality=message.quality,
        untranslated=message.untranslated,
        mac=message.mac,
        author_sequence=message.author_sequence,
        original_sha256=message.original_sha256,
        screen=Screen(message.screen),
        screen_reason=message.screen_reason,
    )


def read_grant(verifier: StatementVerifier, statement: SignedStatement, now: datetime) -> Grant:
    """A grant whose signature and time hold. Raises StatementRefused."""
    fact = unseal(verifier, statement, MatchGrant, now)
    return Grant(
        match_id=fact.match_id,
        user_id=fact.user_id,
        partner_id=fact.partner_id,
        user_languages=tuple(fact.user_languages),
        partner_languages=tuple(fact.partner_languages),
        expires_at=fact.expires_at.ToDatetime(tzinfo=UTC),
    )
