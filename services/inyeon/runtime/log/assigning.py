"""Who of a group reads which partition: balanced, and nobody gives up more than balance asks
for."""

from __future__ import annotations

from collections.abc import Mapping

TopicPartition = tuple[str, int]
Assignment = dict[int, frozenset[TopicPartition]]


def assign(
    subscriptions: Mapping[int, frozenset[str]],
    partitions: Mapping[str, int],
    held: Mapping[int, frozenset[TopicPartition]],
) -> Assignment:
    """Shares out all partitions of the subscribed topics. Each goes to exactly one subscribed
    member; among members with the same topics the counts differ by at most one; what a member holds
    it keeps unless it has too many.

    `subscriptions`: member -> topics. `partitions`: topic -> count. `held`: what members (also past
    ones) had before.
    """
    shares: dict[int, set[TopicPartition]] = {member: set() for member in subscriptions}
    free = _keep_held(shares, subscriptions, partitions, held)
    for place in free:
        takers = [m for m, topics in subscriptions.items() if place[0] in topics]
        if takers:
            shares[min(takers, key=lambda m: (len(shares[m]), m))].add(place)
    while _move_one(shares, subscriptions):
        pass
    return {member: frozenset(share) for member, share in shares.items()}


def _keep_held(
    shares: dict[int, set[TopicPartition]],
    subscriptions: Mapping[int, frozenset[str]],
    partitions: Mapping[str, int],
    held: Mapping[int, frozenset[TopicPartition]],
) -> list[TopicPartition]:
    """Gives everybody what they had; returns what nobody had, in order."""
    holders = {place: member for member, places in held.items() for place in places}
    free = []
    for topic in sorted(set().union(*subscriptions.values())):
        for partition in range(partitions[topic]):
            holder = holders.get((topic, partition))
            if holder is not None and topic in subscriptions.get(holder, ()):
                shares[holder].add((topic, partition))
            else:
                free.append((topic, partition))
    return free


def _move_one(
    shares: dict[int, set[TopicPartition]], subscriptions: Mapping[int, frozenset[str]]
) -> bool:
    """Moves one partition from somebody rich to somebody at least two poorer; False when there is
    no such pair."""
    by_wealth = sorted(shares, key=lambda m: (len(shares[m]), m))
    for poor in by_wealth:
        for rich in reversed(by_wealth):
            if len(shares[rich]) - len(shares[poor]) < 2:
                break
            movable = [p for p in shares[rich] if p[0] in subscriptions[poor]]
            if movable:
                place = max(movable)
                shares[rich].remove(place)
                shares[poor].add(place)
                return True
    return False
