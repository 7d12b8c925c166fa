"""Invariant 8: no raw frame in any topic, table or output.

Three signs. Long runs of bytes: the largest byte field that the contract allows in an event is a
vector, so anything longer in a record is a find, except documents that are text. Known beginnings
of pictures and videos, each long enough that chance does not write it. And the mark that drivers
hide in every picture that they send as evidence.
"""

from __future__ import annotations

from collections.abc import Iterator

from inyeon_chaos.evidence import Breach, Evidence, LogRecord

MARK = b"inyeon-chaos-picture-mark-5f1c9a"
"""Drivers put it into each picture that they send; nobody else has a reason to write it."""

VALUE_BYTES = 8 * 1024
"""Largest value of an event: a vector of 1,024 float32 is 4 KiB, the rest of a message below 4."""

# Four bytes appear by chance once in 4 GB of random bytes, a run writes a few hundred MB at most.
SIGNATURES = {
    "JPEG (JFIF)": b"\xff\xd8\xff\xe0\x00\x10JFIF",
    "JPEG (Exif)": b"Exif\x00\x00",
    "PNG": b"\x89PNG\r\n\x1a\n",
    "WebP": b"WEBPVP8",
    "GIF": b"GIF89a",
    "MP4": b"ftypisom",
    "Matroska": b"\x1aE\xdf\xa3\x01\x00\x00\x00",
    "Y4M": b"YUV4MPEG2 W",
    "the mark": MARK,
}


def no_raw_frames(evidence: Evidence) -> list[Breach]:
    """8."""
    found = [
        Breach(8, f"{sign} in a record", (record.place,))
        for record in evidence.records
        for sign in signs(_said(record))
    ]
    found += [
        Breach(8, f"a value of {len(record.value)} bytes that are no text", (record.place,))
        for record in evidence.records
        if record.value is not None and len(record.value) > VALUE_BYTES and not _text(record.value)
    ]
    found += [
        Breach(8, f"{sign} in the output of {name}", (name,))
        for name, output in evidence.outputs.items()
        for sign in signs(output)
    ]
    found += [
        Breach(8, f"{sign} in {table}.{column}", (table,))
        for table, column, cell in _cells(evidence)
        for sign in signs(cell)
    ]
    return found


def signs(data: bytes) -> list[str]:
    """Names of the signatures that are in it."""
    return [name for name, signature in SIGNATURES.items() if signature in data]


def _said(record: LogRecord) -> bytes:
    headers = "\n".join(f"{name}: {value}" for name, value in record.headers.items())
    return record.key.encode() + b"\n" + headers.encode() + b"\n" + (record.value or b"")


def _text(value: bytes) -> bool:
    """Protobuf around one long text is mostly printable; pixels are not."""
    printable = sum(1 for byte in value if 32 <= byte < 127 or byte in (9, 10, 13))
    return printable > 0.9 * len(value)


def _cells(evidence: Evidence) -> Iterator[tuple[str, str, bytes]]:
    for table, rows in evidence.tables.items():
        for row in rows:
            for column, cell in row.items():
                if isinstance(cell, bytes):
                    yield table, column, cell
                elif isinstance(cell, str) and len(cell) > VALUE_BYTES // 8:
                    yield table, column, cell.encode()
