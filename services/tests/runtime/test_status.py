"""Every error of the ground as a status."""

from __future__ import annotations

import pytest
from google.rpc import error_details_pb2 as details_pb

from inyeon.runtime import errors
from inyeon.runtime.status import to_status

pytestmark = pytest.mark.unit


def every_error() -> list[type[errors.InyeonError]]:
    found, waiting = [], [errors.InyeonError]
    while waiting:
        kind = waiting.pop()
        found.append(kind)
        waiting += kind.__subclasses__()
    return [kind for kind in found if kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", every_error())
def test_every_error_has_a_code_and_a_reason(kind: type[errors.InyeonError]) -> None:
    status = to_status(kind("what happened"))
    assert status.code == kind.code.value[0]
    assert status.message == "what happened"
    info = details_pb.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain) == (kind.reason, "inyeon")
    assert info.reason.replace("_", "").isupper()


def test_a_wrong_field_is_named_twice() -> None:
    error = errors.InvalidRequest("must be set", reason="REQUIRED", field="window.subject")
    status = to_status(error)
    bad = details_pb.BadRequest()
    assert status.details[1].Unpack(bad)
    (violation,) = bad.field_violations
    assert (violation.field, violation.description, violation.reason) == (
        "window.subject",
        "must be set",
        "REQUIRED",
    )


def test_overload_says_when_to_come_back() -> None:
    status = to_status(errors.Overloaded("too much", retry_after_s=1.5))
    retry = details_pb.RetryInfo()
    assert status.details[1].Unpack(retry)
    assert retry.retry_delay.ToMilliseconds() == 1500
