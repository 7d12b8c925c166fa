"""JPEG to RGB, in memory, within limits that are checked before anything is decoded."""

from __future__ import annotations

import asyncio
import struct

import cv2
import numpy as np
from numpy.typing import NDArray

from inyeon.moderation.errors import PictureRefused

BYTES_LIMIT = 192 * 1024
SIDE_LIMIT = 1280
SIDE_LEAST = 32

_START, _END_OF_IMAGE, _SCAN = 0xD8, 0xD9, 0xDA
_FRAMES = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended, progressive: what devices make
_BARE = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a segment


async def picture_of(jpeg: bytes) -> NDArray[np.uint8]:
    """(height, width, 3) uint8 RGB. Raises PictureRefused, which says nothing of the content."""
    width, height = jpeg_size(jpeg)
    for side in (width, height):
        if not SIDE_LEAST <= side <= SIDE_LIMIT:
            raise _refused(f"a side has {side} pixels, not {SIDE_LEAST} to {SIDE_LIMIT}")
    return await asyncio.to_thread(_decoded, jpeg, (height, width))


def jpeg_size(jpeg: bytes) -> tuple[int, int]:
    """(width, height) as the frame header says, without decoding: a bomb is refused by its header.
    Raises PictureRefused."""
    if len(jpeg) > BYTES_LIMIT:
        raise _refused(f"{len(jpeg)} bytes, at most {BYTES_LIMIT}")
    if jpeg[:2] != bytes((0xFF, _START)):
        raise _refused("not a JPEG")
    at = 2
    while at + 4 <= len(jpeg) and jpeg[at] == 0xFF:
        marker = jpeg[at + 1]
        if marker in _FRAMES and at + 9 <= len(jpeg):
            height, width = struct.unpack_from(">HH", jpeg, at + 5)
            return width, height
        if marker in (_END_OF_IMAGE, _SCAN):
            break
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker in _BARE:
            at += 2
        else:
            at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    raise _refused("a JPEG without a frame")


def _decoded(jpeg: bytes, size: tuple[int, int]) -> NDArray[np.uint8]:
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        found = cv2.imdecode(np.frombuffer(jpeg, np.uint8), flags)
    except cv2.error:
        found = None
    if found is None or found.shape[:2] != size:
        raise _refused("a JPEG that cannot be decoded") from None
    picture: NDArray[np.uint8] = cv2.cvtColor(found, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
    return picture


def _refused(why: str) -> PictureRefused:
    return PictureRefused(why, field="jpeg")
