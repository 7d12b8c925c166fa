"""Twins of the vision parts: detectors and scorers that say what a test tells them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from inyeon_edge.effects import BackgroundBlur, Compositor, CoverCard
from inyeon_edge.frame import Frame, Image
from inyeon_edge.vision.anchors import Box
from inyeon_edge.vision.cover_rule import LocalCover
from inyeon_edge.vision.masks import MaskTrack
from inyeon_edge.vision.pipeline import VisionParts, VisionPipeline
from inyeon_edge.vision.presence import PresenceWatch
from inyeon_edge.vision.results import CLASSES, Scored

FACE = Box(0.9, 0.3, 0.2, 0.7, 0.8)


@dataclass
class Stage:
    """What the twins see, and how often they were asked."""

    share: float = 0.4
    faces: list[Box] = field(default_factory=lambda: [FACE])
    body: list[Box] = field(default_factory=list)
    unsafe: dict[str, float] = field(default_factory=dict)
    broken: dict[str, Exception] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    scored_images: list[Image] = field(default_factory=list)
    mask: NDArray[np.float32] | None = None

    def ask(self, part: str) -> None:
        self.asked[part] = self.asked.get(part, 0) + 1
        if part in self.broken:
            raise self.broken[part]

    def segment(self, image: Image) -> NDArray[np.float32]:
        self.ask("segment")
        if self.mask is not None:
            return self.mask
        mask = np.zeros((10, 10), np.float32)
        mask.reshape(-1)[: round(self.share * 100)] = 1
        return mask

    def full(self, image: Image) -> list[Box]:
        self.ask("full")
        return self.faces

    def short(self, image: Image) -> list[Box]:
        self.ask("short")
        return self.faces

    def pose(self, image: Image) -> list[Box]:
        self.ask("pose")
        return self.body

    def score(self, image: Image, at_s: float) -> Scored:
        self.ask("filter")
        self.scored_images.append(image)
        rest = 1 - sum(self.unsafe.values())
        scores = tuple(self.unsafe.get(name, rest if name == "Neutral" else 0) for name in CLASSES)
        return Scored(scores, b"\0" * 68, b"\0" * 8, at_s)

    def watch(self) -> PresenceWatch:
        return PresenceWatch(self.full, self.short, self.pose)

    def pipeline(self, compositor: Compositor | None = None) -> VisionPipeline:
        return VisionPipeline(
            VisionParts(
                MaskTrack(self.segment),
                self.watch(),
                compositor or Compositor(BackgroundBlur(), CoverCard()),
                self.score,
                LocalCover(),
            )
        )


@pytest.fixture
def stage() -> Stage:
    """One person, near, harmless."""
    return Stage()


@pytest.fixture
def film() -> Callable[[int], Frame]:
    """Frame `n` of a 10 fps camera: a bright texture that moves."""

    def shot(number: int) -> Frame:
        rng = np.random.default_rng(number)
        base = np.full((48, 64, 3), 128, np.int16)
        noisy = base + np.random.default_rng(0).integers(-60, 60, base.shape)
        image = np.clip(noisy + rng.integers(-15, 15, base.shape), 0, 255).astype(np.uint8)
        return Frame(image, number, number / 10)

    return shot


@pytest.fixture(scope="session")
def make_stage() -> Callable[[], Stage]:
    """A fresh stage for each example of a property."""
    return Stage
