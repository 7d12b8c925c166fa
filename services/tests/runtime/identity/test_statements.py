"""Keys on disk, signatures, and statements that hold or do not."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import OKPKey

from inyeon.runtime.errors import SettingsRefused, StatementRefused
from inyeon.runtime.identity.keys import key_id, load_key, load_or_create_key
from inyeon.runtime.identity.signing import Ed25519Signer, Ed25519Verifier
from inyeon.runtime.identity.statements_pb import seal, unseal
from inyeon_protos.common.v1.identity_pb2 import MatchGrant, SafetyPass, SignedStatement
from inyeon_protos.common.v1.peer_pb2 import LocateRequest

pytestmark = pytest.mark.unit

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def signer() -> Ed25519Signer:
    return Ed25519Signer(Ed25519PrivateKey.generate())


@pytest.fixture
def verifier(signer: Ed25519Signer) -> Ed25519Verifier:
    return Ed25519Verifier([signer.public_key])


def safety_pass(lives_s: float = 30) -> SafetyPass:
    fact = SafetyPass(user_id="u1", session_id="s1", policy_version="p1")
    fact.issued_at.FromDatetime(NOW)
    fact.expires_at.FromDatetime(NOW + timedelta(seconds=lives_s))
    return fact


def refusal(verifier: Ed25519Verifier, statement: SignedStatement, now: datetime = NOW) -> str:
    with pytest.raises(StatementRefused) as caught:
        unseal(verifier, statement, SafetyPass, now)
    return caught.value.reason


def test_a_sealed_statement_opens(signer: Ed25519Signer, verifier: Ed25519Verifier) -> None:
    statement = seal(signer, safety_pass())
    assert len(statement.signature) == 64
    assert unseal(verifier, statement, SafetyPass, NOW) == safety_pass()


def test_a_statement_ends_two_seconds_after_its_time(
    signer: Ed25519Signer, verifier: Ed25519Verifier
) -> None:
    statement = seal(signer, safety_pass(lives_s=30))
    unseal(verifier, statement, SafetyPass, NOW + timedelta(seconds=32))
    assert refusal(verifier, statement, NOW + timedelta(seconds=32.001)) == "EXPIRED"


def test_one_kind_never_passes_for_another(
    signer: Ed25519Signer, verifier: Ed25519Verifier
) -> None:
    grant = MatchGrant(match_id="m1", user_id="u1", partner_id="u2")
    grant.expires_at.FromDatetime(NOW + timedelta(minutes=2))
    assert refusal(verifier, seal(signer, grant)) == "BAD_SIGNATURE"


def test_strangers_are_not_believed(verifier: Ed25519Verifier) -> None:
    stranger = Ed25519Signer(Ed25519PrivateKey.generate())
    statement = seal(stranger, safety_pass())
    assert refusal(verifier, statement) == "UNKNOWN_KEY"


def test_a_posing_stranger_is_not_believed(
    signer: Ed25519Signer, verifier: Ed25519Verifier
) -> None:
    statement = seal(Ed25519Signer(Ed25519PrivateKey.generate()), safety_pass())
    statement.key_id = signer.key_id
    assert refusal(verifier, statement) == "BAD_SIGNATURE"


@pytest.mark.parametrize(
    "payload", [b"\xff\xff\xff", b"", b"\x32\x08\x08\xff\xff\xff\xff\xff\xff\x7f"]
)
def test_a_signed_nonsense_is_malformed(
    signer: Ed25519Signer, verifier: Ed25519Verifier, payload: bytes
) -> None:
    signature = signer.sign("inyeon.common.v1.SafetyPass", payload)
    statement = SignedStatement(key_id=signer.key_id, payload=payload, signature=signature)
    assert refusal(verifier, statement) == "MALFORMED"


def test_a_message_without_an_end_is_no_statement(
    signer: Ed25519Signer, verifier: Ed25519Verifier
) -> None:
    with pytest.raises(StatementRefused) as caught:
        unseal(verifier, seal(signer, LocateRequest(user_id="u")), LocateRequest, NOW)
    assert caught.value.reason == "MALFORMED"


@given(at=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_no_bit_can_be_changed(at: int, bit: int) -> None:
    signer = Ed25519Signer(Ed25519PrivateKey.generate())
    statement = seal(signer, safety_pass())
    whole = bytearray(statement.payload + statement.signature)
    whole[at % len(whole)] ^= 1 << bit
    length = len(statement.payload)
    statement.payload, statement.signature = bytes(whole[:length]), bytes(whole[length:])
    assert refusal(Ed25519Verifier([signer.public_key]), statement) == "BAD_SIGNATURE"


def test_a_key_is_made_once_for_the_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "moderation.pem"
    first = load_or_create_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    again = load_or_create_key(path)
    assert key_id(first.public_key()) == key_id(again.public_key())
    assert os.listdir(path.parent) == ["moderation.pem"]


def test_the_key_id_is_the_rfc_7638_thumbprint(signer: Ed25519Signer) -> None:
    assert OKPKey.import_key(signer.public_key).thumbprint() == signer.key_id


def test_two_processes_that_start_together_share_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "internal.pem"
    theirs = load_or_create_key(path)
    seen = iter([False])
    monkeypatch.setattr(Path, "exists", lambda _: next(seen))  # the file appeared in between
    mine = load_or_create_key(path)
    assert key_id(mine.public_key()) == key_id(theirs.public_key())


def test_keys_that_are_none_are_refused(tmp_path: Path) -> None:
    absent, garbage = tmp_path / "absent.pem", tmp_path / "garbage.pem"
    garbage.write_text("nothing")
    shown, other = tmp_path / "shown.pem", tmp_path / "other.pem"
    load_or_create_key(shown)
    shown.chmod(0o644)
    pem = generate_private_key(SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    other.write_bytes(pem)
    for path in (garbage, other):
        path.chmod(0o600)
    for path in (absent, garbage, shown, other):
        with pytest.raises(SettingsRefused) as caught:
            load_key(path)
        assert caught.value.field == str(path)
