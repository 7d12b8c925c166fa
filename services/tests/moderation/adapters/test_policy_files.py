"""Policy files: what ships is valid, what is wrong is refused with path, place and reason."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from inyeon.moderation.adapters.policy_file import MAX_BYTES, PolicyFile, parse_policy, read_policy
from inyeon.moderation.domain.verdict import Verdict
from inyeon.moderation.errors import PolicyRefused
from inyeon.moderation.settings import DEFAULT_POLICY
from inyeon.runtime.errors import SettingsRefused

pytestmark = pytest.mark.unit
RULE = """
name: p
rules:
  - name: r
    reason: R
    classes: [Porn]
    threshold: 0.7
    then: PROTECT
    dwell_s: 3
    unsure_from: 0.5
"""


def test_version_is_name_and_digest(policy_file: PolicyFile) -> None:
    digest = hashlib.sha256(DEFAULT_POLICY.read_bytes()).hexdigest()
    assert policy_file.policy.version == f"default-{digest[:12]}"
    assert policy_file.document == DEFAULT_POLICY.read_bytes()


def test_the_shipped_policy_keeps_its_promises(policy_file: PolicyFile) -> None:
    """No threshold under the worst harmless frame (0.414), no verdict by one window, demo's drawing
    rule."""
    policy = policy_file.policy
    for rule in policy.rules:
        assert rule.unsure_from > 0.414
        assert rule.windows_at_least >= 2
    drawing = next(rule for rule in policy.rules if rule.name == "drawing")
    assert (drawing.threshold, drawing.dwell_s, drawing.then) == (0.6, 3.0, Verdict.PROTECT)
    assert (policy.clearing.clear_s, policy.clearing.needs_presence) == (5.0, True)
    assert all(at > 0.414 for at in policy.cover_at.values())


def test_a_change_of_a_comment_is_another_version() -> None:
    first = parse_policy(RULE.encode(), "p").policy.version
    assert parse_policy(b"# why\n" + RULE.encode(), "p").policy.version != first


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyRefused, match=r"absent\.yaml: No such file"):
        read_policy(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("dwell_s: 3", ""), "needs dwell_s, k_of_n or both"),
        (("0.7", "1.7"), r"rules\.0\.threshold"),
        (("0.7", ".nan"), r"rules\.0\.threshold"),
        (("unsure_from: 0.5", "unsure_from: 0.9"), "unsure_from must not be above"),
        (("[Porn]", "[Cat]"), r"rules\.0\.classes\.0"),
        (("[Porn]", "[Porn, Porn]"), "classes must differ"),
        (("then: PROTECT", "then: BAN"), r"rules\.0\.then"),
        (("dwell_s: 3", "windows_at_least: 1\n    dwell_s: 3"), "windows_at_least"),
        (("dwell_s: 3", "k_of_n: {k: 4, n: 3}"), "k must not be above n"),
        (("dwell_s: 3", "dwel_s: 3"), r"rules\.0\.dwel_s"),
        (("name: p", "name: P Q"), "name"),
        (("rules:", "rules: {"), "not YAML"),
        ((RULE, "[]"), "file"),
        ((RULE, RULE + RULE[RULE.index("  - name") :]), "different names"),
        ((RULE, RULE + "cover_at: {Cat: 0.5}"), "cover_at"),
    ],
)
def test_bad_files_are_refused(
    change: tuple[str, str], why: str, policy_path: Callable[[str], Path]
) -> None:
    path = policy_path(RULE.replace(*change))
    with pytest.raises(PolicyRefused, match=why) as refused:
        read_policy(path)
    assert str(path) in str(refused.value)
    assert refused.value.field == str(path)
    assert isinstance(refused.value, SettingsRefused)


def test_bytes_that_are_no_text_and_too_many_bytes_are_refused() -> None:
    with pytest.raises(PolicyRefused, match="not YAML"):
        parse_policy(b"\xff\xfe\x00", "p")
    with pytest.raises(PolicyRefused, match="at most"):
        parse_policy(b"#" * (MAX_BYTES + 1), "p")
