"""The story: what is done to the devices, and what must then be seen to happen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from inyeon.cli.demo.cast import CARTOON, Cast, Member
from inyeon.cli.demo.seen import Seen
from inyeon.cli.demo.stage import Stage
from inyeon.cli.demo.steps import Step, StepState, Summary
from inyeon.cli.demo.talk import Line, all_arrived, arrival, lines_of

FRAMES_NEEDED = 50
NOBODY = "NOBODY"  # an empty room is covered too, for another reason
# Bounds are generous: on a slow machine a step that is late is still true. Times are in the table.
START_S = 120.0
MATCH_S = 60.0
MEDIA_S = 60.0
CHAT_S = 60.0
VERDICT_S = 45.0
CLEAR_S = 60.0


class Story:
    """Runs the steps in order; a failed step ends it, for the next ones would mean nothing."""

    def __init__(self, stage: Stage, cast: Cast, seed: int) -> None:
        self.stage = stage
        self.cast = cast
        self.seed = seed
        self.summary = Summary()
        self._protected_at_s = 0.0

    @property
    def steps(self) -> list[tuple[str, str, Callable[[Step], Awaitable[bool]]]]:
        """(key, title, what must be seen)."""
        return [
            ("platform", "the platform runs", self._platform),
            ("presence", "two people are seen, backgrounds blurred", self._presence),
            ("away", "an empty room waits with reason AWAY", self._away),
            ("match", "interests in two languages bring two people together", self._match),
            ("video", "their video flows both ways", self._video),
            ("chat", "what they say arrives in the other's language", self._chat),
            ("cover", "a cartoon is covered at once on its own device", self._cover),
            ("protect", "the verdict turns PROTECT after its dwell time", self._protect),
            ("partner", "the partner's side is covered and told", self._partner),
            ("policy", "the match ends by policy", self._policy),
            ("case", "a case stands in the review list", self._case),
            ("enters", "a person comes into the empty room", self._enters),
            ("anew", "the other one is matched anew with the third", self._anew),
            ("barred", "no match for the protected one until CLEAR", self._barred),
            ("memory", f"all processes together stay within {self._room_gb:.0f} GB", self._memory),
        ]

    @property
    def _room_gb(self) -> float:
        return self.stage.launch.memory_bytes / 1e9

    async def run(self) -> bool:
        """True when every step happened."""
        for key, title, _ in self.steps:
            self.summary.open(key, title)
        for key, _, happen in self.steps:
            step = self.summary.steps[key]
            began_s = self.stage.elapsed_s()
            done = await happen(step)
            step.took_s = self.stage.elapsed_s() - began_s
            step.state = StepState.DONE if done else StepState.FAILED
            if not done:
                step.detail = f"{step.detail} {self._why_not()}".strip()
                return False
        return self.summary.succeeded

    def _seen(self, member: Member) -> Seen:
        return self.stage.seen[member.subject]

    async def _platform(self, step: Step) -> bool:
        if not await self.stage.start_platform():
            return False
        step.detail = f"{self.stage.addresses.page} after {self.stage.elapsed_s():.1f} s"
        return True

    async def _presence(self, step: Step) -> bool:
        for name, member in zip("abc", self.cast.members(), strict=True):
            await self.stage.start_device(member, f"device-{name}")
        pair = [self._seen(self.cast.first), self._seen(self.cast.second)]
        done = await self.stage.until(
            lambda: all(s.presence == "ALONE" and s.blurred > 0 for s in pair), START_S
        )
        step.detail = ", ".join(f"{s.subject} {s.presence}" for s in pair)
        return done

    async def _away(self, step: Step) -> bool:
        third = self._seen(self.cast.third)
        done = await self.stage.until(lambda: third.wait == "AWAY", START_S)
        step.detail = f"{third.subject} waits: {third.wait}"
        return done

    async def _match(self, step: Step) -> bool:
        one, two = self._seen(self.cast.first), self._seen(self.cast.second)
        done = await self.stage.until(
            lambda: one.match_id and one.match_id == two.match_id, MATCH_S
        )
        if done:
            met = one.matches[-1]
            reasons = ", ".join(f"{r} {d or f'{s:.2f}'}" for r, s, d in met.reasons)
            step.detail = f"{reasons}; first match after {met.at_s:.1f} s"
            done = any(reason == "INTERESTS" for reason, _, _ in met.reasons)
        return done

    async def _video(self, step: Step) -> bool:
        pair = [self._seen(self.cast.first), self._seen(self.cast.second)]
        done = await self.stage.until(lambda: all(_flows(s.media) for s in pair), MEDIA_S)
        step.detail = "; ".join(
            f"{s.subject}: {s.media.get('decoded', 0)} decoded, {s.media.get('changed', 0)} "
            f"changed, {s.media.get('filtered', 0)} filtered"
            for s in pair
        )
        return done

    async def _chat(self, step: Step) -> bool:
        engine = await self._engine_present()
        results = []
        for author, reader in (
            (self.cast.first, self.cast.second),
            (self.cast.second, self.cast.first),
        ):
            lines = lines_of(self.seed, author.languages[:2], reader.name)
            await self._say(author, lines)
            said, heard = self._seen(author), self._seen(reader)
            await self.stage.until(_arrived(lines, said, heard), CHAT_S)
            results.append(arrival(lines, said, heard))
        step.detail = "; ".join(
            f"{r.by_engine} of 6 by Apertium"
            if engine
            else f"no Apertium here: {r.untranslated} of 6 untranslated"
            for r in results
        )
        return all(r.right(engine_present=engine) for r in results)

    async def _cover(self, step: Step) -> bool:
        bad = self._seen(self.cast.first)
        before = len(bad.covers)
        began_s = self.stage.elapsed_s()
        await self._switch(self.cast.first, CARTOON)
        done = await self.stage.until(lambda: _covered_locally(bad, before), VERDICT_S)
        if done:
            took_s = bad.covers[before][0] - began_s
            step.detail = f"by the device itself, {took_s:.1f} s after the switch"
        return done

    async def _protect(self, step: Step) -> bool:
        bad = self._seen(self.cast.first)
        done = await self.stage.until(lambda: bad.verdict == "PROTECT", VERDICT_S)
        step.detail = f"{bad.verdict} {bad.verdict_reason}"
        if done:
            self._protected_at_s = bad.verdicts[-1][0]
        return done

    async def _partner(self, step: Step) -> bool:
        other = self._seen(self.cast.second)
        done = await self.stage.until(
            lambda: (
                any(w == "partner" and on for _, w, on, _, _ in other.covers)
                and any(action in ("WARN", "PROTECT", "END") for _, action, _, _ in other.told)
            ),
            VERDICT_S,
        )
        ways = sorted({by for _, w, on, by, _ in other.covers if w == "partner" and on})
        told = sorted({action for _, action, _, _ in other.told})
        step.detail = f"covered by {', '.join(ways)}; told {', '.join(told)}"
        return done

    async def _policy(self, step: Step) -> bool:
        pair = [self._seen(self.cast.first), self._seen(self.cast.second)]
        done = await self.stage.until(
            lambda: all(any(r == "POLICY" for _, _, r in s.overs) for s in pair), VERDICT_S
        )
        step.detail = "; ".join(f"{s.subject} {s.overs[-1][2] if s.overs else '-'}" for s in pair)
        return done

    async def _case(self, step: Step) -> bool:
        subject = self.cast.first.subject

        async def listed() -> bool:
            answer: Any = await self.stage.get_json("/moderation/cases")
            cases = [c for c in (answer or {}).get("cases", []) if c.get("user_id") == subject]
            step.detail = ", ".join(sorted({str(c.get("reason")) for c in cases}))
            return bool(cases)

        return await self.stage.until(listed, VERDICT_S)

    async def _enters(self, step: Step) -> bool:
        third = self._seen(self.cast.third)
        waited_alone = not third.matches
        await self._switch(self.cast.third, self.cast.person_enters)
        done = await self.stage.until(lambda: third.presence == "ALONE", VERDICT_S)
        step.detail = f"{third.subject} {third.presence}, nobody was proposed to it before"
        return done and waited_alone

    async def _anew(self, step: Step) -> bool:
        two, three = self._seen(self.cast.second), self._seen(self.cast.third)
        done = await self.stage.until(
            lambda: two.match_id and two.match_id == three.match_id, MATCH_S
        )
        if done:
            step.detail = ", ".join(r for r, _, _ in two.matches[-1].reasons)
        return done

    async def _barred(self, step: Step) -> bool:
        bad = self._seen(self.cast.first)
        since_s = self._protected_at_s
        refused = await self.stage.until(lambda: bad.wait == "NOT_CLEAR", VERDICT_S)
        await self._switch(self.cast.first, self.cast.first.source)
        cleared = refused and await self.stage.until(lambda: bad.verdict == "CLEAR", CLEAR_S)
        if not cleared:
            step.detail = f"waits: {bad.wait}, verdict {bad.verdict}"
            return False
        clear_at_s = bad.verdicts[-1][0]
        matched_between = any(since_s <= m.at_s <= clear_at_s for m in bad.matches)
        done = await self.stage.until(lambda: bad.wait not in ("NOT_CLEAR", ""), CLEAR_S)
        step.detail = f"CLEAR {clear_at_s - since_s:.1f} s later, then waits: {bad.wait}"
        return done and not matched_between

    async def _memory(self, step: Step) -> bool:
        self.stage.measure()
        step.detail = f"{self.stage.peak_rss / 1e6:,.0f} MB at most"
        return self.stage.peak_rss <= self.stage.launch.memory_bytes

    async def _engine_present(self) -> bool:
        routes: Any = await self.stage.get_json("/translation/routes")
        pairs = (routes or {}).get("tiers", {}).get("apertium", [])
        return "en-es" in pairs and "es-en" in pairs

    async def _say(self, author: Member, lines: list[Line]) -> None:
        child = self.stage.devices[author.subject]
        for line in lines:
            await child.tell({"do": "say", "text": line.text, "id": line.segment_id})

    async def _switch(self, member: Member, source: str) -> None:
        await self.stage.devices[member.subject].tell({"do": "switch", "source": source})

    def _why_not(self) -> str:
        broken = self.stage.broken()
        errors = [e for s in self.stage.seen.values() for e in s.errors[-1:]]
        ended = f"{broken} ended by itself, see {self.stage.folder}" if broken else "not in time"
        return f"({ended}{'; ' if errors else ''}{'; '.join(errors)})"


def _flows(media: dict[str, int]) -> bool:
    enough = media.get("decoded", 0) > FRAMES_NEEDED and media.get("changed", 0) > FRAMES_NEEDED
    return enough and media.get("filtered", 0) > 0


def _arrived(lines: list[Line], author: Seen, reader: Seen) -> Callable[[], bool]:
    return lambda: all_arrived(lines, author, reader)


def _covered_locally(seen: Seen, before: int) -> bool:
    return any(
        whose == "myself" and on and by == "local" and reason != NOBODY
        for _, whose, on, by, reason in seen.covers[before:]
    )
