"""A summary succeeds only when every step was seen to happen."""

from __future__ import annotations

import pytest

from inyeon.cli.demo.steps import StepState, Summary

pytestmark = pytest.mark.unit


def test_nothing_done_is_no_success() -> None:
    assert not Summary().succeeded


def test_one_open_step_is_no_success() -> None:
    summary = Summary()
    summary.open("one", "first").state = StepState.DONE
    summary.open("two", "second")
    assert not summary.succeeded
    summary.steps["two"].state = StepState.DONE
    assert summary.succeeded


def test_a_failed_step_is_no_success() -> None:
    summary = Summary()
    summary.open("one", "first").state = StepState.FAILED
    assert not summary.succeeded
