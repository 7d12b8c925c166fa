"""One call: offers or answers, sends the picture after effects, receives the partner's.

No sound yet: neither side offers an audio track. Candidates travel inside the descriptions (aiortc
gathers before it answers). Which addresses may be used is settled in `addresses`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from enum import Enum

from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)

from inyeon_edge.call.frames import MediaCounts, OutgoingFrames
from inyeon_edge.call.signalling import (
    Heard,
    PartnerHere,
    Signal,
    Signalling,
    SignallingLink,
)
from inyeon_edge.call.tracks import AsSentTrack, receive
from inyeon_edge.errors import CallFailed, EdgeError, StreamBroken, StreamRefused, UplinkError
from inyeon_edge.frame import Image
from inyeon_edge.uplink.backoff import Backoff
from inyeon_edge.uplink.clock import Clock
from inyeon_edge.uplink.facts import Statement
from inyeon_edge.uplink.waiting import first_of

CONNECT_S = 20.0  # loopback takes 0.3 s; both agents may still load models on a busy machine
CLOSE_S = 2.0  # of the agent's 5 s to stop
LOST = ("failed", "closed")


class CallState(Enum):
    """How far a call is."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    CLOSED = "closed"
    FAILED = "failed"


class Call:
    """The call of one match. `run` holds it; `renew` and `hang_up` come from the same loop."""

    def __init__(
        self,
        match_id: str,
        offers: bool,
        grant: Statement,
        signalling: Signalling,
        frames: OutgoingFrames,
        show: Callable[[Image], None],
        told: Callable[[CallState], None],
        clock: Clock,
        backoff: Backoff,
        connect_s: float = CONNECT_S,
    ) -> None:
        self._match_id, self._offers, self._grant = match_id, offers, grant
        self._signalling, self._frames, self._show = signalling, frames, show
        self._told, self._clock, self._backoff = told, clock, backoff
        self._connect_s = connect_s
        self.counts = MediaCounts()
        self._pc: RTCPeerConnection | None = None
        self._link: SignallingLink | None = None
        self._receiving: set[asyncio.Task[None]] = set()
        self._connected = asyncio.Event()
        self._lost = asyncio.Event()
        self._over = asyncio.Event()

    async def run(self) -> None:
        """Holds the call until someone hangs up. Raises CallFailed where it cannot be set up or is
        lost; the picture's connection and tracks are closed in every case."""
        self._told(CallState.CONNECTING)
        try:
            await first_of(self._set_up(), self._signal_on(), self._part(), self._lose())
        except CallFailed:
            self._told(CallState.FAILED)
            raise
        else:
            self._told(CallState.CLOSED)
        finally:
            await self._close()

    def hang_up(self) -> None:
        """Ends the call and tells the partner."""
        self._over.set()

    async def renew(self, grant: Statement) -> None:
        """Goes on with a newer grant."""
        self._grant = grant
        if self._link is not None:
            with contextlib.suppress(UplinkError):
                await self._link.renew(grant)

    async def _set_up(self) -> None:
        """Connects in time or fails; afterwards it only waits."""
        try:
            async with asyncio.timeout(self._connect_s):
                await self._connected.wait()
        except TimeoutError:
            message = f"no picture within {self._connect_s:g} s"
            raise CallFailed(message, reason="CONNECT_FAILED") from None
        self._told(CallState.CONNECTED)
        await asyncio.Event().wait()

    async def _part(self) -> None:
        await self._over.wait()
        with contextlib.suppress(UplinkError, TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self._send("BYE")

    async def _lose(self) -> None:
        await self._lost.wait()
        raise CallFailed("the partner's picture is gone", reason="LOST")

    async def _signal_on(self) -> None:
        """Keeps signalling open: a broken one never ends a call whose picture flows."""
        while True:
            try:
                await self._signal()
            except StreamRefused as error:
                if not self._connected.is_set() and error.code != "UNAUTHENTICATED":
                    message = f"signalling: {error}"
                    raise CallFailed(message, reason=error.reason, field=error.field) from error
            except StreamBroken:
                pass
            await self._clock.sleep(self._backoff.next_s())

    async def _signal(self) -> None:
        link = await self._signalling.open(self._match_id, self._grant)
        self._link = link
        try:
            while (heard := await link.hear()) is not None:
                self._backoff.reset()
                await self._take(heard)
        finally:
            self._link = None
            link.close()

    async def _take(self, heard: Heard) -> None:
        if isinstance(heard, PartnerHere):
            if self._offers and not self._connected.is_set():
                await self._offer()
        elif isinstance(heard, Signal):
            try:
                await self._take_signal(heard)
            except EdgeError:
                raise
            except Exception as error:  # a stranger's text: aiortc's parser raises what it likes
                raise CallFailed(f"the partner's {heard.kind}: {error}") from error

    async def _take_signal(self, signal: Signal) -> None:
        if signal.kind == "BYE":
            self._over.set()
        elif signal.kind == "OFFER" and not self._offers:
            await self._answer(signal.body)
        elif signal.kind == "ANSWER" and self._offers:
            await self._accept(signal.body)

    async def _offer(self) -> None:
        pc = await self._new_connection()
        pc.addTrack(AsSentTrack(self._frames, self.counts, self._clock))
        _prefer_vp8(pc)
        await pc.setLocalDescription(await pc.createOffer())
        await self._send("OFFER", pc.localDescription.sdp)

    async def _answer(self, sdp: str) -> None:
        pc = await self._new_connection()
        await pc.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        pc.addTrack(AsSentTrack(self._frames, self.counts, self._clock))
        _prefer_vp8(pc)
        await pc.setLocalDescription(await pc.createAnswer())
        await self._send("ANSWER", pc.localDescription.sdp)

    async def _accept(self, sdp: str) -> None:
        pc = self._pc
        if pc is not None and pc.signalingState == "have-local-offer":
            await pc.setRemoteDescription(RTCSessionDescription(sdp, "answer"))

    async def _send(self, kind: str, body: str = "") -> None:
        if self._link is not None:
            await self._link.send(kind, body)

    async def _new_connection(self) -> RTCPeerConnection:
        await self._close_picture()
        pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        pc.on("track", self._on_track)
        pc.on("connectionstatechange", lambda: self._on_state(pc))
        self._pc = pc
        return pc

    def _on_track(self, track: MediaStreamTrack) -> None:
        if track.kind != "video":
            return
        task = asyncio.create_task(receive(track, self.counts, self._show))
        self._receiving.add(task)
        task.add_done_callback(self._receiving.discard)

    def _on_state(self, pc: RTCPeerConnection) -> None:
        if pc is not self._pc:
            return
        if pc.connectionState == "connected":
            self._connected.set()
        elif pc.connectionState in LOST and self._connected.is_set():
            self._lost.set()

    async def _close(self) -> None:
        if self._link is not None:
            self._link.close()
        await self._close_picture()

    async def _close_picture(self) -> None:
        pc, self._pc = self._pc, None
        tasks = tuple(self._receiving)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if pc is not None:
            for sender in pc.getSenders():
                if sender.track is not None:
                    sender.track.stop()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await pc.close()


def _prefer_vp8(pc: RTCPeerConnection) -> None:
    codecs = RTCRtpSender.getCapabilities("video").codecs
    vp8 = [codec for codec in codecs if codec.mimeType == "video/VP8"]
    for transceiver in pc.getTransceivers():
        transceiver.setCodecPreferences(vp8)
