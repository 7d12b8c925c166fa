"""What a partner's device does to the trust in a device."""

from __future__ import annotations

import pytest

from inyeon.moderation.adapters.policy_file import PolicyFile
from inyeon.moderation.domain.observation import Scores
from inyeon.moderation.domain.trust import PartnerView
from inyeon.moderation.domain.verdict import DEVICES_DISAGREE

pytestmark = pytest.mark.unit


def scores(porn: float) -> Scores:
    mean = (0.0, 0.0, 1 - porn, porn, 0.0)
    return Scores("m", "1", 2, mean, mean)


@pytest.fixture
def view(policy_file: PolicyFile) -> PartnerView:
    return PartnerView(policy_file.policy)


def contradict(view: PartnerView, times: int) -> list[str]:
    """Reasons of escalations while the partner sees for `times` stretches what the own device does
    not."""
    told = [view.add(n, scores(0.9), 1.0, own_hot=False) for n in range(times * 3)]
    return [escalation.reason for escalation in told if escalation]


def test_one_stretch_costs_a_step_and_escalates_nothing(view: PartnerView) -> None:
    assert contradict(view, 1) == []
    assert view.trust == 0.75


def test_falling_below_the_mark_escalates_once(view: PartnerView) -> None:
    assert contradict(view, 6) == [DEVICES_DISAGREE]
    assert view.trust == 0.0


def test_quiet_on_both_sides_mends_and_arms_again(view: PartnerView) -> None:
    assert contradict(view, 2) == [DEVICES_DISAGREE]
    for n in range(60):
        assert view.add(n, scores(0.0), 1.0, own_hot=False) is None
    assert view.trust == pytest.approx(0.62)
    for n in range(1000):
        view.add(n, scores(0.0), 1.0, own_hot=False)
    assert view.trust == 1.0
    assert contradict(view, 2) == [DEVICES_DISAGREE]


def test_agreement_costs_nothing_and_is_remembered(view: PartnerView) -> None:
    for n in range(5):
        assert view.add(n, scores(0.9), 1.0, own_hot=True) is None
    assert view.trust == 1.0
    assert view.agrees("porn")
    assert not view.agrees("drawing")
    assert not view.agrees("no such rule")


def test_own_trouble_mends_no_trust(view: PartnerView) -> None:
    contradict(view, 1)
    for n in range(50):
        view.add(n, scores(0.0), 1.0, own_hot=True)
    assert view.trust == 0.75
