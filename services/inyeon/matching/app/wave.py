"""Run a wave: pause, resume and expire; pair; commit; tell."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from datetime import datetime

from inyeon.matching.app.admit import moment, standing
from inyeon.matching.app.cancel import end_ticket
from inyeon.matching.app.desk import Desk
from inyeon.matching.app.policies import accept_until
from inyeon.matching.app.ports import Facts, Proposal, WaveOrder
from inyeon.matching.app.recording import Asked, Described, wave_number
from inyeon.matching.app.shadowing import exact_chances
from inyeon.matching.app.state import tell_match, tell_waiting
from inyeon.matching.app.why import work_out_costs
from inyeon.matching.domain.courses import Course
from inyeon.matching.domain.explaining import explain
from inyeon.matching.domain.matches import Chosen, LiveMatch, Side
from inyeon.matching.domain.modes import ALL_POOLS, PoolMode
from inyeon.matching.domain.tickets import Ticket, TicketEnd
from inyeon.matching.domain.waves import Pair, Wave, decide
from inyeon.matching.errors import PoolPaused
from inyeon.runtime.errors import Unavailable

SIGNS_KEPT_S = 90.0  # longer than anything waits or meets without a sign of life (30 s)
MODE_EVERY_S = 1.0
"""An empty pool shall not ask the store ten times a second. Within it a switched pool says so."""
TELL_EVERY_S = 0.5
"""Everybody is looked at for news so often: reasons change with the others, not by the millisecond.
"""
IN_A_THREAD = 256
"""From so many people on a pass takes more than some 3 ms, too long to hold up the streams."""


async def run_wave(desk: Desk) -> None:
    """One pass. Raises PoolLost when another replica owns the pool. With the store away, with
    verdicts that may be old, or where an operator paused it, nobody is paired and everybody who
    waits is told so."""
    changed = await _keep_time(desk)
    away = desk.hall.service_away
    try:
        _check_freshness(desk)
        await _check_mode(desk)
        if desk.steer is not None:
            await desk.steer.look()
        await _pair(desk)
        desk.hall.service_away = False
    except Unavailable:
        desk.hall.service_away = True
    if desk.hall.service_away is not away:
        desk.hall.told_at = -math.inf
    await _tell(desk, changed)
    pool = desk.hall.pool
    desk.meter.waiting(len(pool), pool.paused_count(), len(desk.hall.meetings))
    desk.hall.last_pass_at = desk.clock.now()


def _check_freshness(desk: Desk) -> None:
    now = desk.clock.now()
    if (age := desk.hall.freshness.age(now)) is not None:
        desk.meter.verdicts_aged(age.total_seconds())
    if desk.hall.freshness.stale(now, desk.verdicts_stale):
        raise Unavailable("verdicts may be older than allowed", reason="VERDICTS_STALE")


async def _check_mode(desk: Desk) -> None:
    """What people are told; whether they are paired is asked again in each commit."""
    hall, now = desk.hall, desk.clock.monotonic()
    if hall.mode_at + MODE_EVERY_S <= now:
        modes = await desk.book.modes([desk.pool])
        hall.mode = modes[desk.pool]
        desk.meter.mode(hall.mode, stopped=modes[ALL_POOLS] is PoolMode.PAUSED)
        hall.mode_at = now
    if hall.mode is PoolMode.PAUSED:
        raise PoolPaused(f"an operator paused pool {desk.pool}")


async def _tell(desk: Desk, changed: set[str]) -> None:
    """Those who are new or whose gates changed; everybody now and then."""
    hall, now = desk.hall, desk.clock.monotonic()
    untold, hall.untold = changed | hall.untold, set()
    if hall.told_at + TELL_EVERY_S <= now:
        hall.told_at = now
        looks = hall.pool.looks(now)
    else:
        looks = hall.pool.looks(now, untold)
    for look in looks:
        if desk.hall.pool.of_user(look.ticket.user_id) is look.ticket:  # still, after each await
            await tell_waiting(desk, look)


async def _keep_time(desk: Desk) -> set[str]:
    """Whose ticket stands still or goes on since the last wave."""
    changes = desk.hall.pool.tick(desk.clock.monotonic())
    for ticket in changes.silent:
        try:
            await end_ticket(desk, ticket, TicketEnd.EXPIRED)
        except Unavailable:
            continue  # it is silent at the next wave, too
    for _, gate in changes.paused:
        desk.meter.paused(gate)
    if desk.hall.told_at + TELL_EVERY_S <= desk.clock.monotonic():
        desk.hall.forget_signs(desk.clock.monotonic() - SIGNS_KEPT_S)
    return {ticket.user_id for ticket in (*changes.resumed, *(one for one, _ in changes.paused))}


async def _pair(desk: Desk) -> None:
    began = desk.clock.monotonic()
    snapshot = desk.hall.pool.snapshot(began)
    if desk.sessions is not None:
        snapshot = desk.sessions.attach(snapshot)
    number = wave_number(desk.hall.epoch, desk.hall.waves)
    course = desk.course(number)
    asked = Asked(snapshot, began, replace(desk.rules, score=course.model), number)
    wave = await _decide(asked)
    took_s = desk.clock.monotonic() - began
    fitting = zip(wave.snapshot.tickets, wave.fitting.tolist(), strict=True)
    desk.hall.fitting |= {
        ticket.user_id: count
        for ticket, count in fitting
        if desk.hall.pool.of_user(ticket.user_id) is ticket  # still, after the pass
    }
    work_out_costs(desk, wave)
    left_out = await _commit(desk, asked, wave, course) if wave.pairs else 0
    desk.meter.wave(took_s, len(wave.snapshot), len(wave.pairs), left_out)
    desk.meter.engine(wave.gap, wave.shed)


async def _decide(asked: Asked) -> Wave:
    if len(asked.snapshot) < IN_A_THREAD:
        return decide(asked.snapshot, asked.rules, asked.seed)
    return await asyncio.to_thread(decide, asked.snapshot, asked.rules, asked.seed)


async def _describe(desk: Desk, asked: Asked, wave: Wave) -> Described | None:
    if desk.recorder is None:
        return None
    number = wave_number(desk.hall.epoch, desk.hall.waves)
    if len(asked.snapshot) < IN_A_THREAD:
        return desk.recorder.describe(asked, wave, number)
    return await asyncio.to_thread(desk.recorder.describe, asked, wave, number)


async def _commit(desk: Desk, asked: Asked, wave: Wave, course: Course) -> int:
    """Commits and tells; returns how many pairs the book left out."""
    exact = await exact_chances(asked, wave, course)
    now, hall = desk.clock.now(), desk.hall
    chances = exact or (course.propensity,) * len(wave.pairs)
    proposals = tuple(
        _proposal(desk, wave, pair, now, Chosen(course.model.version, chance))
        for pair, chance in zip(wave.pairs, chances, strict=True)
    )
    tickets = tuple(ticket.ticket_id for ticket in wave.snapshot.tickets)
    hall.waves += 1
    described = await _describe(desk, asked, wave)
    order = WaveOrder(
        desk.pool,
        hall.epoch,
        hall.waves,
        now,
        tickets,
        proposals,
        course.model.version,
        described,
        course,
        bool(exact),
    )
    async with hall.changing:
        stand = await desk.book.commit_wave(order)
        if desk.recorder is not None:
            desk.recorder.settle(written=bool(stand))
        for proposal in proposals:
            if proposal.match.match_id in stand:
                _begin(desk, proposal.match, _tickets(wave, proposal.places))
    for proposal in proposals:
        await _tell_both(desk, wave, proposal)
    return len(proposals) - len(stand)


async def _tell_both(desk: Desk, wave: Wave, proposal: Proposal) -> None:
    """To the people of a match that lives still; of one that the book left out, look again."""
    match = proposal.match
    if desk.hall.meetings.of_user(match.first.user_id) is match:
        for user_id in match.users:
            await tell_match(desk, match, user_id)
    else:
        await _look_again(desk, _tickets(wave, proposal.places))


def _tickets(wave: Wave, places: tuple[int, int]) -> tuple[Ticket, Ticket]:
    return wave.snapshot.tickets[places[0]], wave.snapshot.tickets[places[1]]


def _proposal(desk: Desk, wave: Wave, pair: Pair, now: datetime, chosen: Chosen) -> Proposal:
    one, other = _tickets(wave, (pair.one, pair.other))
    waited = wave.snapshot.waited_s
    waits = float(waited[pair.one]), float(waited[pair.other])
    match = LiveMatch(
        desk.new_id(),
        desk.pool,
        _side(one, waits[0]),
        _side(other, waits[1]),
        now,
        explain(one.wish, other.wish, waits, desk.rules.routes),
        accept_until(desk, one, other, now),
        chosen=chosen,
    )
    places = pair.one, pair.other
    return Proposal(match, (one.ticket_id, other.ticket_id), places, pair.score)


def _side(ticket: Ticket, waited_s: float) -> Side:
    return Side(ticket.user_id, ticket.wish.languages, ticket.person.country, waited_s)


def _begin(desk: Desk, match: LiveMatch, tickets: tuple[Ticket, Ticket]) -> None:
    for ticket in tickets:
        desk.hall.drop(ticket)
        if not match.agreed:
            desk.hall.offered[ticket.user_id] = ticket
    for user_id in match.users:
        over = desk.hall.meetings.of_user(user_id)
        if over is not None:
            # A former owner that did not know yet that it was one has ended it in the book.
            desk.hall.meetings.end(over.match_id)
    desk.hall.meetings.begin(match, desk.clock.monotonic())
    if desk.sessions is not None:
        desk.sessions.began(match, tickets)
    for ticket, side in zip(tickets, match.sides, strict=True):
        desk.meter.matched(side.waited_s)
        desk.meter.waited(ticket, side.waited_s, TicketEnd.MATCHED)
        desk.meter.ticket_over(TicketEnd.MATCHED)
        if desk.watch is not None:
            desk.watch.ended(TicketEnd.MATCHED, side.waited_s)


async def _look_again(desk: Desk, tickets: tuple[Ticket, Ticket]) -> None:
    """The book knew better than the pool: take over what it knows, lest it is tried again."""
    users = [ticket.user_id for ticket in tickets]
    ids = [ticket.ticket_id for ticket in tickets]
    facts, over = await desk.book.look(users, ids, desk.clock.now())
    for ticket in tickets:
        known = facts.get(ticket.user_id, Facts())
        if ticket.ticket_id in over or known.in_match:
            desk.hall.drop(ticket)
        _correct(desk, ticket.user_id, known)


def _correct(desk: Desk, user_id: str, facts: Facts) -> None:
    pool, known = desk.hall.pool, standing(facts, desk)
    pool.judge(user_id, known.verdict)
    pool.sanction(user_id, known.sanctioned_until)
    for other, until in (facts.bars or {}).items():
        pool.bar(user_id, other, moment(desk, until, math.inf))
