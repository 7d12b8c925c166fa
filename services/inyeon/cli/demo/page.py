"""Tells the status page what the devices say of themselves, once a second, news only."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from inyeon.cli.demo.cast import Cast
from inyeon.cli.demo.seen import Seen
from inyeon.cli.demo.stage import HTTP_TIMEOUT_S, Stage
from inyeon.cli.demo.steps import Summary

EVERY_S = 1.0

Facts = dict[str, Any]


class PageTeller:
    """Sends what changed since it was last taken; a page that is away is no failure of the demo."""

    def __init__(self, stage: Stage, cast: Cast, summary: Summary) -> None:
        self._stage = stage
        self._summary = summary
        self._names = {m.subject: m.name for m in cast.members()}
        self._taken: dict[tuple[str, str], Facts] = {}

    async def run(self) -> None:
        """Until cancelled."""
        async with httpx.AsyncClient(timeout=HTTP_TIMEOUT_S) as client:
            while True:
                await asyncio.sleep(EVERY_S)
                for (kind, key), facts in self._news().items():
                    try:
                        await self._tell(client, kind, key, facts)
                    except httpx.HTTPError:
                        break

    async def _tell(self, client: httpx.AsyncClient, kind: str, key: str, facts: Facts) -> None:
        body = {"kind": kind, "key": key, "facts": facts}
        answer = await client.post(self._stage.addresses.page + "status/told", json=body)
        if answer.is_success:
            self._taken[kind, key] = facts

    def _news(self) -> dict[tuple[str, str], Facts]:
        now: dict[tuple[str, str], Facts] = {}
        for order, step in enumerate(self._summary.steps.values()):
            facts = {"title": step.title, "state": step.state.value, "detail": step.detail}
            now["step", step.key] = {**facts, "order": order}
        for seen in list(self._stage.seen.values()):
            now["person", seen.subject] = self._person(seen)
            now.update(self._lines(seen))
        return {key: facts for key, facts in now.items() if self._taken.get(key) != facts}

    def _person(self, seen: Seen) -> Facts:
        live = bool(seen.match_id)
        return {
            "name": f"{self._names[seen.subject]} ({seen.subject})",
            "presence": seen.presence,
            "preview": seen.preview,
            "partner_preview": seen.partner_preview if live else "",
            "wait": "" if live else seen.wait,
            "partner": seen.matches[-1].partner_id if live else "",
            "cover": ", ".join(w for w in ("myself", "partner") if seen.covered(w)),
            "media": "video flows" if live and seen.media.get("decoded") else "",
        }

    def _lines(self, seen: Seen) -> dict[tuple[str, str], Facts]:
        return {
            ("line", f"{seen.subject} {caption.segment_id}"[:64]): {
                "from": self._names.get(caption.author_id, caption.author_id),
                "text": caption.text,
                "tier": caption.mark,
                "untranslated": caption.untranslated,
            }
            for caption in seen.captions
            if caption.final
        }
