"""What segmentation and background blur cost on one core, beside the plain way in the same run.

    python benches/segment_blur.py [--json] [--frames N]

Workload: N (default 200) frames of 640x480, a head-and-shoulders clip scaled up (no random numbers,
hence no seed), decoded beforehand; this process is pinned to one core, every library to one thread.
Ours: landscape segmentation, smoothing, quarter-size blur, blending in OpenCV; every frame is
segmented, none is reused. Plain: the same model, full-size Gaussian blur, blending in numpy floats.
The two take turns frame by frame, so that a busy machine slows both; the better of three rounds
counts. The bar is on CPU time of the whole process, all threads: on one core of a quiet machine it
is the time a frame takes, and other work hardly moves it; wall time stands beside it.
The pipeline figures are CPU time of everything a device does at 320x240 and 15 frames/s.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import psutil
from figures import Row, progress, report
from numpy.typing import NDArray

from inyeon_edge.capture import open_source
from inyeon_edge.effects import BackgroundBlur
from inyeon_edge.effects.blur import SIGMA_SHARE
from inyeon_edge.engine import ModelLibrary
from inyeon_edge.frame import Frame, Image, fit
from inyeon_edge.temporal.masks import MaskSmoother
from inyeon_edge.vision.build import build_incoming, build_pipeline
from inyeon_edge.vision.segmenter import LANDSCAPE, Segmenter

BENCH = "segment_blur"
BAR_MS = 8.0
ROUNDS = 3
WIDE, HIGH, FPS = 640, 480, 15
REPO = Path(__file__).resolve().parents[1]

Way = Callable[[Image], Image]
Spent = list[tuple[float, float]]
"""CPU and wall time of each frame, ms."""


def main() -> int:
    """Runs everything; exit code 1 when the bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object a line, nothing else")
    parser.add_argument("--frames", type=int, default=200)
    arguments = parser.parse_args()
    folder = Path(os.environ.get("INYEON_MODELS_DIR", REPO / "build" / "models"))
    _one_core()
    models = ModelLibrary(folder)
    clip = str(folder / "clips" / "carphone_pristine.mp4")
    rows = [*_effects(models, clip, arguments.frames), *_pipeline(models, clip, arguments.frames)]
    return report(rows, as_json=arguments.json)


def _one_core() -> None:
    core = min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    cv2.setNumThreads(1)
    progress(f"pinned to core {core}")


def _effects(models: ModelLibrary, clip: str, count: int) -> list[Row]:
    images = [fit(f.image, WIDE, HIGH) for f in islice(open_source(clip, None).frames(), count)]
    segment = Segmenter(models.session(LANDSCAPE))
    ways = {"ours": _ours(segment), "plain": _plain(segment)}
    for way in ways.values():
        for image in images[:10]:
            way(image)
    rounds = [_taking_turns(ways, images, number) for number in range(ROUNDS)]
    return [row for name in ways for row in _rows(name, [each[name] for each in rounds])]


def _rows(name: str, rounds: list[Spent]) -> list[Row]:
    rows: list[Row] = []
    for kind, column in (("CPU", 0), ("wall", 1)):
        spent = min(([each[column] for each in one] for one in rounds), key=np.median)
        bar = BAR_MS if (name, kind) == ("ours", "CPU") else None
        p50, p95 = (float(value) for value in np.percentile(spent, [50, 95]))
        rows.append(_row(f"{name}: segment + blur, {kind} p50", p50, "ms", bar))
        rows.append(_row(f"{name}: segment + blur, {kind} p95", p95, "ms"))
    return rows


def _taking_turns(ways: dict[str, Way], images: list[Image], number: int) -> dict[str, Spent]:
    progress(f"round {number + 1} of {ROUNDS}: {len(images)} frames, each way in turn")
    spent: dict[str, Spent] = {name: [] for name in ways}
    for image in images:
        for name, way in ways.items():
            start_s, busy_s = time.perf_counter(), time.process_time()
            way(image)
            cpu_s, wall_s = time.process_time() - busy_s, time.perf_counter() - start_s
            spent[name].append((cpu_s * 1000, wall_s * 1000))
    return spent


def _ours(segment: Segmenter) -> Way:
    smooth, blur = MaskSmoother(), BackgroundBlur()
    return lambda image: blur(image, smooth(segment(image)))


def _plain(segment: Segmenter) -> Way:
    def way(image: Image) -> Image:
        person = cv2.resize(segment(image), (WIDE, HIGH))[:, :, None]
        soft = cv2.GaussianBlur(image, (0, 0), SIGMA_SHARE * WIDE)
        mixed: NDArray[np.float32] = image * person + soft * (1 - person)
        return np.asarray(mixed, np.uint8)

    return way


def _pipeline(models: ModelLibrary, clip: str, count: int) -> list[Row]:
    """CPU of one agent's looking: its own picture, and its check of the partner's."""
    rows: list[Row] = []
    for name, spec in (("person", clip), ("empty room", "drawn:empty-room")):
        progress(f"pipeline at 320x240 on {name}")
        frames = [fit(f.image, 320, 240) for f in islice(open_source(spec, None).frames(), count)]
        pipeline, incoming = build_pipeline(models), build_incoming(models)
        shots = [Frame(image, n, n / FPS) for n, image in enumerate(frames)]
        own = _cpu_ms([partial(pipeline.process, shot, False) for shot in shots])
        rows.append(_row(f"pipeline 320x240, {name}: CPU a frame", own, "ms"))
        theirs = _cpu_ms([partial(incoming.check, s.image, s.captured_s) for s in shots])
        rows.append(_row(f"incoming check, {name}: CPU a frame", theirs, "ms"))
    resident = psutil.Process().memory_info().rss / 1e6
    rows.append(_row("resident memory, everything loaded", resident, "MB", 450.0))
    return rows


def _cpu_ms(steps: Sequence[Callable[[], object]]) -> float:
    steps[0]()
    start_s = time.process_time()
    for step in steps[1:]:
        step()
    return (time.process_time() - start_s) * 1000 / (len(steps) - 1)


def _row(metric: str, value: float, unit: str, bar: float | None = None) -> Row:
    return Row(BENCH, metric, value, unit, bar, "lower")


if __name__ == "__main__":
    sys.exit(main())
