"""The models in this process, on onnxruntime: a laptop's platform, and the hedge of a cluster's.

Threads of its own, because numpy and onnxruntime hold the loop otherwise: one for the judge, one
for pictures (onnxruntime splits a picture over `threads`). Image models are opened when the first
picture comes: InceptionV3 takes 211 MB, and evidence is off by default.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from inyeon.inference.banks import Banks
from inyeon.inference.catalogue import IMAGE_MODELS, JUDGE, LABELS, ImageModel, ModelName
from inyeon.inference.engine import Models
from inyeon.inference.errors import ModelFailed, unavailable
from inyeon.inference.pictures import model_input
from inyeon.inference.port import EmbeddingAnswer, ImageVote
from inyeon.inference.probabilities import check_probabilities
from inyeon.runtime.errors import DeadlineExceeded, Overloaded

JUDGE_QUEUE = 256  # 0.3 ms each with 10,000 entries: below 0.1 s of waiting
PICTURE_QUEUE = 8  # 130 ms each on two cores: about a second of waiting

Float = NDArray[np.float32]
T = TypeVar("T")


class InProcessEngine:
    """Implements Engine."""

    def __init__(self, models: Models, threads: int = 2) -> None:
        self._models = models
        self._threads = threads
        self._banks = Banks.of(models.head.space, (), 0)
        self._sessions: dict[str, ort.InferenceSession] = {}
        self._judging = _Lane("judge", JUDGE_QUEUE)
        self._looking = _Lane("pictures", PICTURE_QUEUE)

    @property
    def remote(self) -> bool:
        return False

    async def judge(self, embedding: Float, budget_s: float) -> EmbeddingAnswer:
        banks = self._banks
        return await self._judging.run(lambda _: self._judge(banks, embedding), budget_s)

    async def vote(
        self, model: ImageModel, picture: NDArray[np.uint8], budget_s: float
    ) -> ImageVote:
        def look(stop: ort.RunOptions) -> ImageVote:
            scores = self._probabilities(model, model_input(picture, model.side), stop)
            return ImageVote(model.model, LABELS, scores)

        return await self._looking.run(look, budget_s)

    async def check(self, model: ModelName, budget_s: float) -> None:
        canaries = self._models.canaries
        if model == JUDGE:
            answer = await self.judge(canaries.embedding(), budget_s)
            canaries.head.check(model, answer.scores)
            return
        image = next(known for known in IMAGE_MODELS if known.name == model)
        asked = canaries.picture(image)
        scores = await self._looking.run(
            lambda stop: self._probabilities(image, asked, stop), budget_s
        )
        canaries.pictures[image.product].check(model, scores)

    async def put(self, banks: Banks) -> None:
        self._banks = banks

    async def renew(self) -> None:
        """There is nothing between us."""

    async def close(self) -> None:
        self._judging.close()
        self._looking.close()

    def _judge(self, banks: Banks, embedding: Float) -> EmbeddingAnswer:
        head = self._models.head
        scores = head.probabilities(embedding)
        check_probabilities(scores, head.model)
        models = (head.model, f"bank@{banks.generation.number}")
        return EmbeddingAnswer(banks.nearest(embedding), head.labels, scores, models)

    def _probabilities(self, model: ImageModel, pictures: Float, stop: ort.RunOptions) -> Float:
        session = self._session(model)
        try:
            (rows,) = session.run(["probabilities"], {"pictures": pictures}, stop)
        except Exception as error:  # onnxruntime's own classes have no common public base
            raise ModelFailed(f"{model.name}: {error}") from error
        if rows.shape != (1, len(LABELS)) or rows.dtype != np.float32:
            raise ModelFailed(f"{model.name} answered {rows.dtype} {rows.shape}")
        check_probabilities(rows, model.name)
        return np.asarray(rows[0], dtype=np.float32)

    def _session(self, model: ImageModel) -> ort.InferenceSession:
        if model.name not in self._sessions:
            self._sessions[model.name] = self._open(model)
        return self._sessions[model.name]

    def _open(self, model: ImageModel) -> ort.InferenceSession:
        options = ort.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        # idle threads that spin cost six times the work itself
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        path = self._models.folder / model.file
        try:
            return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own classes have no common public base
            raise ModelFailed(f"{path.name} cannot be opened ({error})") from error


class _Lane:
    """One thread with a bounded queue. Work that nobody waits for any more is stopped."""

    def __init__(self, name: str, size: int) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=f"inference-{name}")
        self._size = size
        self._places = threading.BoundedSemaphore(size)
        self._closed = False

    async def run(self, work: Callable[[ort.RunOptions], T], budget_s: float) -> T:
        """Raises Overloaded, DeadlineExceeded, and Unavailable once closed."""
        if self._closed:
            raise unavailable("the models are closed")
        if not self._places.acquire(blocking=False):
            raise Overloaded(f"{self._size} wait already", retry_after_s=0.5)
        stop = ort.RunOptions()
        job = self._pool.submit(work, stop)
        job.add_done_callback(lambda _: self._places.release())
        try:
            async with asyncio.timeout(budget_s):
                return await asyncio.wrap_future(job)
        except TimeoutError:
            raise DeadlineExceeded(f"no answer within {budget_s:.3f} s") from None
        finally:
            stop.terminate = True  # a finished run does not care

    def close(self) -> None:
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)
