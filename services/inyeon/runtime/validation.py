"""Field rules of the contract (`rules.proto`), compiled once for each message type.

What every message must obey, annotated or not: enum numbers are known, times are times, strings
hold no U+0000 (PostgreSQL takes none), vectors are as long as their space says. ADR 0002.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import numpy as np
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from inyeon.runtime.errors import InvalidRequest
from inyeon_protos.common.v1 import rules_pb2, vector_pb2

Check = Callable[[Any], None]
"""Looks at one value; raises _Fault."""

_FLOATS = (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT)
_INTEGERS = (
    FieldDescriptor.CPPTYPE_INT32,
    FieldDescriptor.CPPTYPE_INT64,
    FieldDescriptor.CPPTYPE_UINT32,
    FieldDescriptor.CPPTYPE_UINT64,
)


def validate(message: Message) -> None:
    """Returns if the message obeys its rules. Raises InvalidRequest with the full path of the first
    field that does not, such as `window.scores.mean[2]`, and a reason: REQUIRED, TOO_SHORT,
    TOO_LONG, OUT_OF_RANGE, NOT_FINITE, PATTERN, UNKNOWN_ENUM, NUL_CHARACTER, INVALID_TIME,
    VECTOR_LENGTH, VECTOR_SCALE.
    """
    try:
        _rules_of(message.DESCRIPTOR).check(message)
    except _Fault as fault:
        raise InvalidRequest(fault.text, reason=fault.reason, field=fault.path) from None


class _Fault(Exception):
    """A broken rule, with the path from the message that broke it; callers put theirs in front."""

    def __init__(self, reason: str, text: str, path: str = "") -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text
        self.path = path

    def inside(self, step: str) -> _Fault:
        dot = "." if self.path and not self.path.startswith("[") else ""
        return _Fault(self.reason, self.text, f"{step}{dot}{self.path}")


class _MessageRules:
    """Rules of one message type: what must be there, and how each field that is there must be."""

    def __init__(self) -> None:
        self.needed: dict[int, _Fault] = {}
        self.fields: dict[int, tuple[str, Check]] = {}
        self.whole: Check | None = None

    def check(self, message: Message) -> None:
        needed = len(self.needed)
        for field, value in message.ListFields():
            number = field.number
            if number in self.needed:
                needed -= 1
            rule = self.fields.get(number)
            if rule is not None:
                try:
                    rule[1](value)
                except _Fault as fault:
                    raise fault.inside(rule[0]) from None
        if needed:
            self._refuse_absent(message)
        if self.whole is not None:
            self.whole(message)

    def _refuse_absent(self, message: Message) -> None:
        there = {field.number for field, _ in message.ListFields()}
        for number, fault in self.needed.items():
            if number not in there:
                # A copy: an exception that is raised keeps the frames it went through.
                raise _Fault(fault.reason, fault.text, fault.path)


@cache
def _rules_of(descriptor: Descriptor) -> _MessageRules:
    rules = _MessageRules()
    rules.whole = _WHOLE_MESSAGE.get(descriptor.full_name)
    for field in descriptor.fields:
        _add_field(rules, field)
    return rules


def _add_field(rules: _MessageRules, field: FieldDescriptor) -> None:
    limits = field.GetOptions().Extensions[rules_pb2.rules]
    checks = list(_repeated_checks(field, limits) if field.is_repeated else _checks(field, limits))
    if checks:
        rules.fields[field.number] = (field.name, _all_of(checks))
    if limits.required:
        rules.needed[field.number] = _Fault("REQUIRED", "must be set", field.name)
    elif not field.has_presence:
        fault = _fault_of_default(field, checks)
        if fault is not None:
            rules.needed[field.number] = fault.inside(field.name)


def _fault_of_default(field: FieldDescriptor, checks: list[Check]) -> _Fault | None:
    """Unset fields without presence have a value too; the wire leaves it out, so ask beforehand."""
    default: Any = () if field.is_repeated else field.default_value
    try:
        _all_of(checks)(default)
    except _Fault as fault:
        return fault
    return None


def _checks(field: FieldDescriptor, limits: rules_pb2.FieldRules) -> Iterable[Check]:
    """Checks of one value: of a singular field, or of each item of a repeated one."""
    kind = field.cpp_type
    if field.message_type is not None:
        yield _nested(field.message_type)
    elif field.enum_type is not None:
        yield _known_enum(field.enum_type)
    elif kind == FieldDescriptor.CPPTYPE_STRING:
        yield from _text_checks(field, limits)
    elif kind in _FLOATS or kind in _INTEGERS:
        yield from _number_checks(limits)


def _repeated_checks(field: FieldDescriptor, limits: rules_pb2.FieldRules) -> Iterable[Check]:
    """Lengths count the items; everything else is about each item."""
    yield from _length_checks(limits, "items", len)
    value = _map_value(field)
    if value is not None:
        yield _each_value(_all_of(list(_checks(value, rules_pb2.FieldRules()))))
        return
    of_items = rules_pb2.FieldRules()
    of_items.CopyFrom(limits)
    of_items.ClearField("min_len")
    of_items.ClearField("max_len")
    checks = list(_checks(field, of_items))
    if checks:
        yield _each_item(_all_of(checks))


def _map_value(field: FieldDescriptor) -> FieldDescriptor | None:
    entry = field.message_type
    is_map = entry is not None and entry.GetOptions().map_entry
    return entry.fields_by_name["value"] if entry is not None and is_map else None


def _all_of(checks: list[Check]) -> Check:
    if len(checks) == 1:
        return checks[0]

    def check(value: Any) -> None:
        for one in checks:
            one(value)

    return check


def _each_item(check: Check) -> Check:
    def check_items(values: Iterable[Any]) -> None:
        index = 0
        try:
            for value in values:
                check(value)
                index += 1
        except _Fault as fault:
            raise fault.inside(f"[{index}]") from None

    return check_items


def _each_value(check: Check) -> Check:
    def check_values(entries: Any) -> None:
        for key in entries:
            try:
                check(entries[key])
            except _Fault as fault:
                raise fault.inside(f"[{key}]") from None

    return check_values


def _nested(descriptor: Descriptor) -> Check:
    def check(message: Message) -> None:
        _rules_of(descriptor).check(message)

    return check


def _known_enum(enum: EnumDescriptor) -> Check:
    known = frozenset(enum.values_by_number)

    def check(number: int) -> None:
        if number not in known:
            raise _Fault("UNKNOWN_ENUM", f"{number} is no {enum.name}")

    return check


def _text_checks(field: FieldDescriptor, limits: rules_pb2.FieldRules) -> Iterable[Check]:
    is_text = field.type == FieldDescriptor.TYPE_STRING
    yield from _length_checks(limits, "bytes", _encoded_length if is_text else len)
    if is_text:
        yield _no_nul
    if limits.pattern:
        yield _matches(re.compile(limits.pattern))


def _encoded_length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _no_nul(text: str) -> None:
    if "\0" in text:
        raise _Fault("NUL_CHARACTER", "must not hold U+0000")


def _matches(pattern: re.Pattern[str]) -> Check:
    def check(text: str) -> None:
        if not pattern.fullmatch(text):
            raise _Fault("PATTERN", f"must match {pattern.pattern}")

    return check


def _length_checks(
    limits: rules_pb2.FieldRules, unit: str, length: Callable[[Any], int]
) -> Iterable[Check]:
    least, most = limits.min_len, limits.max_len or math.inf

    def check(value: Any) -> None:
        count = length(value)
        if count > most:
            raise _Fault("TOO_LONG", f"has {count} {unit}, at most {most} are allowed")
        if count < least:
            raise _Fault("TOO_SHORT", f"has {count} {unit}, at least {least} are needed")

    if limits.min_len or limits.max_len:
        yield check


def _number_checks(limits: rules_pb2.FieldRules) -> Iterable[Check]:
    low = limits.gte if limits.HasField("gte") else -math.inf
    high = limits.lte if limits.HasField("lte") else math.inf

    def check_finite(value: float) -> None:
        if not math.isfinite(value):
            raise _Fault("NOT_FINITE", "must be a finite number")

    def check_range(value: float) -> None:
        if not low <= value <= high:  # false for NaN too
            raise _Fault("OUT_OF_RANGE", f"must be in [{low:g}, {high:g}]")

    if limits.finite:
        yield check_finite
    if limits.HasField("gte") or limits.HasField("lte"):
        yield check_range


def _check_timestamp(message: Any) -> None:
    """0001-01-01 to 9999-12-31, as timestamp.proto says; datetime holds no more."""
    if not (-62_135_596_800 <= message.seconds <= 253_402_300_799 and _is_nanos(message.nanos)):
        raise _Fault("INVALID_TIME", "is no time between the years 1 and 9999")


def _check_duration(message: Any) -> None:
    """Within 10,000 years and seconds and nanos of one sign, as duration.proto says."""
    seconds, nanos = message.seconds, message.nanos
    if abs(seconds) > 315_576_000_000 or not _is_nanos(abs(nanos)) or seconds * nanos < 0:
        raise _Fault("INVALID_TIME", "is no duration")


def _is_nanos(nanos: int) -> bool:
    return 0 <= nanos < 1_000_000_000


def _check_vector(message: vector_pb2.Vector) -> None:
    space = message.space
    length = _VECTOR_BYTES[space.encoding](space.dims)
    if len(message.data) != length:
        text = f"has {len(message.data)} bytes, {space.dims} dimensions need {length}"
        raise _Fault("VECTOR_LENGTH", text, "data")
    if (space.scale > 0) != (space.encoding == vector_pb2.VECTOR_ENCODING_INT8):
        text = "must be above 0 for VECTOR_ENCODING_INT8 and 0 for every other encoding"
        raise _Fault("VECTOR_SCALE", text, "space.scale")
    if space.encoding == vector_pb2.VECTOR_ENCODING_INT8_SCALED:
        (scale,) = struct.unpack_from("<f", message.data)
        if not (math.isfinite(scale) and scale >= 0):
            raise _Fault("NOT_FINITE", "its scale must be a finite number, 0 or above", "data")
    if space.encoding == vector_pb2.VECTOR_ENCODING_FLOAT16 and not _finite_halves(message.data):
        raise _Fault("NOT_FINITE", "must hold finite numbers", "data")


def _finite_halves(data: bytes) -> bool:
    return bool(np.isfinite(np.frombuffer(data, "<f2")).all())


_VECTOR_BYTES: dict[int, Callable[[int], int]] = {
    vector_pb2.VECTOR_ENCODING_INT8: lambda dims: dims,
    vector_pb2.VECTOR_ENCODING_INT8_SCALED: lambda dims: 4 + dims,
    vector_pb2.VECTOR_ENCODING_FLOAT16: lambda dims: 2 * dims,
}

_WHOLE_MESSAGE: dict[str, Check] = {
    "google.protobuf.Timestamp": _check_timestamp,
    "google.protobuf.Duration": _check_duration,
    "inyeon.common.v1.Vector": _check_vector,
}
