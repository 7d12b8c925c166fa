"""Errors as `google.rpc.Status`: the code, ErrorInfo with the reason, and what helps the caller."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as PackedAny
from google.protobuf.message import Message
from google.rpc import error_details_pb2 as details_pb
from google.rpc import status_pb2
from grpc_status import rpc_status

from inyeon.runtime.errors import InvalidRequest, InyeonError, Overloaded

DOMAIN = "inyeon"


def to_grpc_status(error: InyeonError) -> Any:
    """The error as what `context.abort_with_status` takes."""
    return rpc_status.to_status(to_status(error))


def to_status(error: InyeonError) -> status_pb2.Status:
    """ErrorInfo (reason, domain `inyeon`, metadata `field`), BadRequest where a field is wrong,
    RetryInfo where waiting helps.
    """
    code: tuple[int, str] = error.code.value
    return status_pb2.Status(
        code=code[0], message=str(error), details=[_packed(detail) for detail in _details(error)]
    )


def unexpected() -> Any:
    """What a caller sees of a defect: nothing of its inside."""
    return to_grpc_status(InyeonError("internal error", reason="INTERNAL"))


OK = grpc.StatusCode.OK.name


def _details(error: InyeonError) -> list[Message]:
    metadata = {"field": error.field} if error.field else {}
    details: list[Message] = [
        details_pb.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata)
    ]
    if isinstance(error, InvalidRequest) and error.field:
        violation = details_pb.BadRequest.FieldViolation(
            field=error.field, description=str(error), reason=error.reason
        )
        details.append(details_pb.BadRequest(field_violations=[violation]))
    if isinstance(error, Overloaded):
        retry = details_pb.RetryInfo()
        retry.retry_delay.FromTimedelta(timedelta(seconds=error.retry_after_s))
        details.append(retry)
    return details


def _packed(message: Message) -> PackedAny:
    packed = PackedAny()
    packed.Pack(message)
    return packed
