"""Banks: exact search and generations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inyeon.inference import banks as banks_module
from inyeon.inference.banks import Banks, Generation
from inyeon.inference.errors import BankTooLarge
from inyeon.inference.port import BankEntry, SpaceId
from inyeon.runtime.errors import InvalidRequest

pytestmark = pytest.mark.unit

SPACE = SpaceId("tiny", "1", 4)


def entry(name: str, bank: str, *values: float, space: SpaceId = SPACE) -> BankEntry:
    return BankEntry(name, bank, space, np.asarray(values, dtype=np.float32))


def random_entries(seed: int, count: int) -> list[BankEntry]:
    random = np.random.default_rng(seed)
    return [
        BankEntry(f"e{i}", f"b{random.integers(4)}", SPACE, random.normal(size=4).astype("f4"))
        for i in range(count)
    ]


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 1000), count=st.integers(0, 40))
def test_search_is_the_plain_loop_over_all_entries(seed: int, count: int) -> None:
    known = random_entries(seed, count)
    asked = np.random.default_rng(seed + 1).normal(size=4).astype(np.float32)
    hits = {hit.bank: hit for hit in Banks.of(SPACE, known, 1).nearest(asked)}
    best: dict[str, float] = {}
    for one in known:
        lengths = float(np.linalg.norm(one.embedding) * np.linalg.norm(asked))
        best[one.bank] = max(best.get(one.bank, -2.0), float(one.embedding @ asked) / lengths)
    assert set(hits) == set(best)
    for bank, similarity in best.items():
        assert hits[bank].similarity == pytest.approx(similarity, abs=1e-5)


@given(seed=st.integers(0, 50))
def test_the_order_of_entries_says_nothing(seed: int) -> None:
    known = random_entries(seed, 12)
    assert Banks.of(SPACE, known, 3).generation == Banks.of(SPACE, known[::-1], 3).generation


def test_a_generation_is_by_number_then_by_what_is_in_it() -> None:
    one = Banks.of(SPACE, [entry("a", "b", 1, 0, 0, 0)], 1)
    other = Banks.of(SPACE, [entry("a", "b", 0, 1, 0, 0)], 1)
    renamed = Banks.of(SPACE, [entry("c", "b", 1, 0, 0, 0)], 1)
    assert len({one.generation, other.generation, renamed.generation}) == 3
    assert Generation(1, 10**18) < Generation(2, 0)
    assert all(0 <= bank.generation.digest < 1 << 56 for bank in (one, other, renamed))


def test_of_equals_the_first_id_is_named() -> None:
    known = [entry("z", "b", 2, 0, 0, 0), entry("a", "b", 1, 0, 0, 0)]
    (hit,) = Banks.of(SPACE, known, 1).nearest(np.asarray([1, 0, 0, 0], dtype=np.float32))
    assert (hit.entry_id, hit.similarity) == ("a", 1.0)


def test_sizes_are_by_bank_and_other_spaces_are_left_out() -> None:
    foreign = entry("f", "b", 1, 0, 0, 0, space=SpaceId("tiny", "2", 4))
    known = [entry("a", "b", 1, 0, 0, 0), entry("c", "d", 1, 0, 0, 0), foreign]
    assert Banks.of(SPACE, known, 1).sizes == {"b": 1, "d": 1}


def test_too_many_entries_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(banks_module, "MAX_ENTRIES", 3)
    with pytest.raises(BankTooLarge, match="4 bank entries, at most 3"):
        Banks.of(SPACE, random_entries(0, 4), 1)


@pytest.mark.parametrize("values", [(0, 0, 0, 0), (1, 2, 3), (1, np.nan, 0, 0), (np.inf, 0, 0, 0)])
def test_what_is_no_vector_is_refused_by_name(values: tuple[float, ...]) -> None:
    with pytest.raises(InvalidRequest, match="entry x") as caught:
        Banks.of(SPACE, [entry("x", "b", *values)], 1)
    assert caught.value.field == "embedding"
