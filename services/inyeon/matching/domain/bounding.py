"""How far from the best a wave can be at most: a bound by linear programming duality.

Prices y with y[a] + y[b] >= weight for each pair add up to no less than the weight of any matching
(weak duality; Edmonds 1965, without the odd-set terms, so the bound is of fractional matchings).
"""

from __future__ import annotations

import numpy as np

from inyeon.matching.domain.compiling import compiled
from inyeon.matching.domain.graph import Graph

ROUNDS = 6


@compiled
def bound(graph: Graph, rounds: int = ROUNDS) -> float:
    """No matching of the graph weighs more. Prices start at half of each person's heaviest edge and
    are lowered in turn to what their edges need."""
    people = graph.start.shape[0] - 1
    start, to, weight = graph.start, graph.to, graph.weight
    price = np.zeros(people)
    for person in range(people):
        if start[person] < start[person + 1]:
            price[person] = weight[start[person]] / 2
    for _ in range(rounds):
        for person in range(people):
            need = 0.0
            for edge in range(start[person], start[person + 1]):
                need = max(need, weight[edge] - price[to[edge]])
            price[person] = need
    return float(price.sum())
