"""Protobuf messages to and from the domain: the only place that knows both."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from inyeon.matching.domain import news
from inyeon.matching.domain.costs import FilterCost
from inyeon.matching.domain.filters import PLANNABLE, Filter, WideningStep
from inyeon.matching.domain.interests import Encoding, Interests, Space, read_interests
from inyeon.matching.domain.languages import SpokenLanguage
from inyeon.matching.domain.matches import Explanation, LiveMatch, Side
from inyeon.matching.domain.people import AgeBand, Attention, Gender, Person
from inyeon.matching.domain.refusals import WishRefused
from inyeon.matching.domain.tickets import Ticket, Wish
from inyeon_protos.common.v1 import identity_pb2, vector_pb2
from inyeon_protos.events.v1 import events_pb2
from inyeon_protos.matching.v1 import matching_pb2


def wish_from(message: matching_pb2.Wish) -> Wish:
    """Raises WishRefused naming the field."""
    return Wish(
        tuple(SpokenLanguage(spoken.tag, spoken.level) for spoken in message.languages),
        frozenset(_gender(number) for number in message.genders),
        frozenset(message.countries),
        interests_from(message.interests),
        message.translation_welcome,
        tuple(_step(number, step) for number, step in enumerate(message.widening)),
    )


def wish_to(wish: Wish) -> matching_pb2.Wish:
    """The same wish as a message; sets come sorted."""
    return matching_pb2.Wish(
        languages=languages_to(wish.languages),
        genders=[identity_pb2.Gender.ValueType(int(gender)) for gender in sorted(wish.genders)],
        countries=sorted(wish.countries),
        interests=_vector(wish.interests),
        translation_welcome=wish.translation_welcome,
        widening=[
            matching_pb2.WideningStep(after_s=int(step.after_s), drops=_filter(step.drops))
            for step in wish.widening
        ],
    )


def attention_from(message: matching_pb2.Heartbeat) -> Attention:
    """What a heartbeat says; one that says nothing of attention, or something unknown, says it by
    `present`."""
    said = int(message.attention)
    if said in set(map(int, Attention)):
        return Attention(said)
    return Attention.PRESENT if message.present else Attention.AWAY


def drops_from(message: matching_pb2.Widen) -> frozenset[Filter]:
    """Filters that a person drops. Raises WishRefused (WIDENING_FILTER)."""
    for number, one in enumerate(message.drops):
        if int(one) not in set(map(int, PLANNABLE)):
            field = f"widen.drops[{number}]"
            raise WishRefused(field, "WIDENING_FILTER", f"{one} is no filter that can be dropped")
    return frozenset(Filter(int(one)) for one in message.drops)


def interests_from(message: vector_pb2.Vector) -> Interests:
    """Raises WishRefused."""
    space = message.space
    if int(space.encoding) not in set(map(int, Encoding)):
        raise WishRefused(
            "wish.interests.space.encoding", "VECTOR_ENCODING", f"{space.encoding} is no encoding"
        )
    encoding = Encoding(space.encoding)
    return read_interests(
        Space(space.model, space.version, space.dims, encoding, space.scale), message.data
    )


def languages_to(languages: tuple[SpokenLanguage, ...]) -> list[matching_pb2.SpokenLanguage]:
    """Best first."""
    return [matching_pb2.SpokenLanguage(tag=one.tag, level=one.level) for one in languages]


def ticket_from(message: events_pb2.TicketWaiting) -> Ticket:
    """Raises WishRefused."""
    person = Person(
        message.user_id,
        AgeBand(int(message.age_band)),
        message.country,
        Gender(int(message.gender)),
    )
    return Ticket(
        message.ticket_id,
        person,
        wish_from(message.wish),
        message.pool,
        message.created_at.ToDatetime(tzinfo=UTC),
        message.paused_s,
        message.session_id,
        message.device,
        message.waited_s,
    )


def ticket_to(ticket: Ticket, replica: str) -> events_pb2.TicketWaiting:
    """The ticket as of now."""
    person = ticket.person
    return events_pb2.TicketWaiting(
        ticket_id=ticket.ticket_id,
        user_id=ticket.user_id,
        pool=ticket.pool,
        age_band=identity_pb2.AgeBand.ValueType(int(person.age_band)),
        country=person.country,
        gender=identity_pb2.Gender.ValueType(int(person.gender)),
        wish=wish_to(ticket.wish),
        created_at=timestamp(ticket.created_at),
        paused_s=ticket.paused_s,
        session_id=ticket.session_id,
        replica=replica,
        device=ticket.device,
        waited_s=ticket.waited_s,
    )


def explanations_to(
    reasons: tuple[Explanation, ...],
) -> list[matching_pb2.MatchExplanation]:
    """Reasons of a match."""
    return [
        matching_pb2.MatchExplanation(
            reason=matching_pb2.MatchReason.ValueType(int(one.reason)),
            strength=one.strength,
            detail=one.detail,
        )
        for one in reasons
    ]


def news_to(told: news.News, user_id: str) -> matching_pb2.SeekResponse:
    """News for that user's device, without a sequence yet."""
    match told:
        case news.Queued():
            return matching_pb2.SeekResponse(queued=_queued(told))
        case news.Paused():
            reason = matching_pb2.WaitReason.ValueType(int(told.reason))
            paused = matching_pb2.Paused(ticket_id=told.ticket_id, reason=reason)
            if told.resumes_in_s is not None:
                paused.resumes_in.CopyFrom(duration(told.resumes_in_s))
            return matching_pb2.SeekResponse(paused=paused)
        case news.WideningOffer():
            return matching_pb2.SeekResponse(widening_offer=_offer(told))
        case news.Proposed():
            return matching_pb2.SeekResponse(proposed=_proposed(told, user_id))
        case news.Matched():
            return matching_pb2.SeekResponse(matched=_matched(told, user_id))
        case news.GrantRenewed():
            renewed = matching_pb2.GrantRenewed(match_id=told.match_id, grant=_grant(told.grant))
            return matching_pb2.SeekResponse(grant_renewed=renewed)
        case news.MatchOver():
            over = matching_pb2.MatchOver(
                match_id=told.match_id,
                reason=matching_pb2.EndReason.ValueType(int(told.reason)),
                by_me=told.by_me,
            )
            return matching_pb2.SeekResponse(match_over=over)
        case news.Cancelled():
            gone = matching_pb2.Cancelled(ticket_id=told.ticket_id, reason=told.end.value)
            return matching_pb2.SeekResponse(cancelled=gone)


def grant_fact(
    match: LiveMatch, user_id: str, at: datetime, life: timedelta
) -> identity_pb2.MatchGrant:
    """What a grant says, unsigned."""
    mine, theirs = match.side(user_id), match.partner(user_id)
    return identity_pb2.MatchGrant(
        match_id=match.match_id,
        user_id=user_id,
        partner_id=theirs.user_id,
        user_languages=[spoken.tag for spoken in mine.languages],
        partner_languages=[spoken.tag for spoken in theirs.languages],
        offers=user_id == match.first.user_id,
        issued_at=timestamp(at),
        expires_at=timestamp(at + life),
    )


def timestamp(at: datetime) -> Timestamp:
    """Aware time as a message."""
    stamp = Timestamp()
    stamp.FromDatetime(at)
    return stamp


def duration(seconds: float) -> Duration:
    """Seconds as a message, to the millisecond."""
    span = Duration()
    span.FromMilliseconds(round(seconds * 1000))
    return span


def _gender(number: int) -> Gender:
    if number not in set(map(int, Gender)):
        raise WishRefused("wish.genders", "GENDER_UNKNOWN", f"{number} is no gender we know")
    return Gender(number)


def _vector(interests: Interests) -> vector_pb2.Vector:
    space = interests.space
    return vector_pb2.Vector(
        space=vector_pb2.EmbeddingSpace(
            model=space.model,
            version=space.version,
            dims=space.dims,
            encoding=vector_pb2.VectorEncoding.ValueType(int(space.encoding)),
            scale=space.scale,
        ),
        data=interests.data,
    )


def _queued(told: news.Queued) -> matching_pb2.Queued:
    return matching_pb2.Queued(
        ticket_id=told.ticket_id,
        reason=matching_pb2.WaitReason.ValueType(int(told.reason)),
        waited=duration(told.waited_s),
        candidates=told.candidates,
        filter_costs=[_cost(cost) for cost in told.costs],
    )


def _offer(told: news.WideningOffer) -> matching_pb2.WideningOffer:
    return matching_pb2.WideningOffer(
        ticket_id=told.ticket_id,
        waited=duration(told.waited_s),
        filters=[_cost(cost) for cost in told.filters],
        estimated=told.estimated,
    )


def _cost(cost: FilterCost) -> matching_pb2.FilterCost:
    message = matching_pb2.FilterCost(filter=_filter(cost.filter), more_people=cost.more_people)
    if cost.expected_s is not None:
        message.expected_wait.CopyFrom(duration(cost.expected_s))
    if cost.without_s is not None:
        message.expected_wait_without.CopyFrom(duration(cost.without_s))
    return message


def _filter(one: Filter) -> matching_pb2.Filter.ValueType:
    return matching_pb2.Filter.ValueType(int(one))


def _step(number: int, step: matching_pb2.WideningStep) -> WideningStep:
    if int(step.drops) not in set(map(int, Filter)):
        field = f"wish.widening[{number}].drops"
        raise WishRefused(field, "WIDENING_FILTER", f"{step.drops} is no filter we know")
    return WideningStep(float(step.after_s), Filter(int(step.drops)))


def _proposed(told: news.Proposed, user_id: str) -> matching_pb2.Proposed:
    match = told.match
    return matching_pb2.Proposed(
        match_id=match.match_id,
        partner=_card(match.partner(user_id)),
        reasons=explanations_to(match.reasons),
        answer_within=duration(told.answer_within_s),
        accepted=user_id in match.accepted,
    )


def _matched(told: news.Matched, user_id: str) -> matching_pb2.Matched:
    match = told.match
    return matching_pb2.Matched(
        match_id=match.match_id,
        grant=_grant(told.grant),
        partner=_card(match.partner(user_id)),
        reasons=explanations_to(match.reasons),
        offers=user_id == match.first.user_id,
    )


def _card(side: Side) -> matching_pb2.PartnerCard:
    return matching_pb2.PartnerCard(
        partner_id=side.user_id, languages=languages_to(side.languages), country=side.country
    )


def _grant(grant: news.SignedGrant) -> identity_pb2.SignedStatement:
    return identity_pb2.SignedStatement(
        key_id=grant.key_id, payload=grant.payload, signature=grant.signature
    )
