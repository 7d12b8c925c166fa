"""Builds what looks: models, pictures, screens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from inyeon_edge.agent.device import Device
from inyeon_edge.agent.partner import PartnerThread
from inyeon_edge.agent.picture import PictureThread, Post
from inyeon_edge.agent.screens import Screens
from inyeon_edge.capture.open import open_switchable
from inyeon_edge.capture.switchable import SwitchableSource
from inyeon_edge.engine.library import ModelLibrary
from inyeon_edge.settings import Settings
from inyeon_edge.text.naming import model_name
from inyeon_edge.uplink.clock import Clock
from inyeon_edge.uplink.facts import Subject
from inyeon_edge.uplink.window import ModelNames, WindowBuilder
from inyeon_edge.vision import embedder, filter
from inyeon_edge.vision.build import build_incoming, build_pipeline
from inyeon_edge.vision.incoming import IncomingCheck


class Eyes:
    """Both pictures and the rules they share. Opened by the loop, before anything else."""

    def __init__(self, settings: Settings, device: Device, clock: Clock, post: Post) -> None:
        """Loads models and opens source and screens. Raises ModelError, SourceError,
        OutputError."""
        self._models = ModelLibrary(settings.models_dir)
        self._names = _names(settings.models_dir)
        self._clock = clock
        self._cover_at: Mapping[str, float] | None = None
        self._pipeline = build_pipeline(self._models)
        self.screens = Screens(settings)
        try:
            self.picture = PictureThread(
                self._opener(settings.fps),
                settings.source,
                self._pipeline,
                self.screens.mine,
                WindowBuilder(Subject.MYSELF, self._names, clock),
                (settings.width, settings.height),
                device,
                post,
            )
        except BaseException:
            self.screens.close()
            raise
        self.partner = PartnerThread(
            self._make_check, self._make_windows, self.screens.theirs, device, post
        )

    def use_policy(self, cover_at: Mapping[str, float]) -> None:
        """The platform's bars for local cover; empty keeps those we have."""
        if cover_at:
            self._cover_at = dict(cover_at)
            self._pipeline.cover.use_policy(cover_at)

    def use_verdict(self, clear: bool) -> None:
        """While the verdict is not CLEAR, a local cover stays."""
        self._pipeline.cover.verdict_clear = clear

    def close(self) -> None:
        """Stops threads, then screens."""
        self.picture.stop()
        self.partner.stop()
        self.screens.close()

    def _opener(self, fps: int) -> Callable[[str], SwitchableSource]:
        return lambda spec: open_switchable(spec, float(fps))

    def _make_check(self) -> IncomingCheck:
        return build_incoming(self._models, self._cover_at)

    def _make_windows(self, match_id: str) -> WindowBuilder:
        return WindowBuilder(Subject.PARTNER, self._names, self._clock, match_id)


def _names(folder: Path) -> ModelNames:
    scores, content = model_name(folder, filter.MODEL), model_name(folder, embedder.MODEL)
    return ModelNames(scores.name, scores.version, content.name, content.version)
