"""TranslationService over gRPC."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc

from inyeon.runtime.errors import InvalidRequest
from inyeon.runtime.streams.server import StreamServer
from inyeon.translation.app.translate import Task, Translator
from inyeon.translation.domain.languages import LANGUAGES
from inyeon_protos.translation.v1 import translation_pb2 as pb
from inyeon_protos.translation.v1 import translation_pb2_grpc

LONGEST_S = 2.0  # 8,192 characters are 21 sentences of the longest kind; 10 ms each, ten times over


class TranslationApi(translation_pb2_grpc.TranslationServiceServicer):
    """Maps messages; decisions are in `app`."""

    def __init__(
        self,
        translator: Translator,
        stream: StreamServer[pb.ConverseRequest, pb.ConverseResponse],
    ) -> None:
        self._translator = translator
        self._stream = stream

    async def Converse(
        self,
        request_iterator: AsyncIterator[pb.ConverseRequest],
        context: grpc.aio.ServicerContext[pb.ConverseRequest, pb.ConverseResponse],
    ) -> AsyncIterator[pb.ConverseResponse]:
        """Captions between the two people of a live match."""
        async for message in self._stream.serve(request_iterator, context):
            yield message

    async def Translate(
        self,
        request: pb.TranslateRequest,
        context: grpc.aio.ServicerContext[pb.TranslateRequest, pb.TranslateResponse],
    ) -> pb.TranslateResponse:
        """One text. Raises InvalidRequest for a target language that is none of the 19."""
        _check_language(request.target_language, "target_language")
        left_s = context.time_remaining()
        task = Task(
            text=request.text,
            understood=(request.target_language,),
            source=request.source_language,
            names=tuple(request.names),
            deadline_s=LONGEST_S if left_s is None else min(LONGEST_S, left_s),
        )
        found = await self._translator.translate(task)
        return pb.TranslateResponse(
            text=found.text,
            source_language=found.source,
            tier=pb.Tier.ValueType(found.tier.value),
            untranslated=found.untranslated,
            quality=found.quality,
        )

    async def Detect(
        self,
        request: pb.DetectRequest,
        context: grpc.aio.ServicerContext[pb.DetectRequest, pb.DetectResponse],
    ) -> pb.DetectResponse:
        """The language of one text. Raises InvalidRequest for a candidate that is unknown."""
        for candidate in request.candidates:
            _check_language(candidate, "candidates")
        found = self._translator.detect(request.text, tuple(request.candidates))
        return pb.DetectResponse(language=found.language, confidence=found.confidence)


def _check_language(tag: str, field: str) -> None:
    if tag not in LANGUAGES:
        raise InvalidRequest(f"{tag!r} is none of the 19 languages", field=field)
