"""The shelf of session vectors on both stores, and what survives by it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import numpy as np
import pytest

from inyeon.matching.adapters.session_rows import SqlSessionShelf
from inyeon.matching.adapters.tables import TABLES
from inyeon.matching.app.session_ports import SessionShelf
from inyeon.matching.domain.interests import Encoding, Space
from inyeon.matching.domain.session_vectors import SessionVector
from inyeon.runtime.store.migrating import migrations_of
from inyeon.runtime.store.sql import SqlStore

pytestmark = pytest.mark.contract

OpenStore = Callable[..., AbstractAsyncContextManager[SqlStore]]
SPACE = Space("interests", "1", 3, Encoding.INT8, 0.5)


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.engine("postgresql"))]
)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def shelf(open_store: OpenStore) -> AsyncIterator[SessionShelf]:
    async with open_store(TABLES, migrations=migrations_of("matching")) as store:
        yield SqlSessionShelf(store)


def vector(at_s: float, number: float = 0.1) -> SessionVector:
    return SessionVector(SPACE, np.array([number, -1 / 3, 2.0]), 1.5, 2.25, 7.1, at_s)


def numbers(found: SessionVector) -> list[object]:
    return [found.space, *found.total, found.counted, found.talks, found.logs, found.at_s]


async def test_it_gives_back_what_it_was_given(shelf: SessionShelf) -> None:
    await shelf.keep({"ana": vector(1.75e9), "bob": vector(1.75e9 + 0.125, 0.7)})
    found = await shelf.of(["ana", "bob", "cyd"])
    assert set(found) == {"ana", "bob"}
    assert numbers(found["ana"]) == numbers(vector(1.75e9))
    assert numbers(found["bob"]) == numbers(vector(1.75e9 + 0.125, 0.7))
    await shelf.keep({})
    assert await shelf.of([]) == {}


async def test_the_newer_one_stays(shelf: SessionShelf) -> None:
    await shelf.keep({"ana": vector(20.0, 2.0)})
    await shelf.keep({"ana": vector(10.0, 1.0)})
    assert (await shelf.of(["ana"]))["ana"].total[0] == 2.0
    await shelf.keep({"ana": vector(30.0, 3.0)})
    assert (await shelf.of(["ana"]))["ana"].total[0] == 3.0


async def test_the_newest_come_oldest_first(shelf: SessionShelf) -> None:
    await shelf.keep({f"u{at}": vector(float(at)) for at in range(10)})
    assert list(await shelf.newest(3, 0.0)) == ["u7", "u8", "u9"]
    assert list(await shelf.newest(9, 8.0)) == ["u8", "u9"]


async def test_people_and_times_are_forgotten(shelf: SessionShelf) -> None:
    await shelf.keep({f"u{at}": vector(float(at)) for at in range(5)})
    await shelf.forget("u4")
    await shelf.forget("nobody")
    await shelf.forget_before(2.0)
    assert list(await shelf.newest(9, 0.0)) == ["u2", "u3"]


async def test_many_are_asked_in_parts(shelf: SessionShelf) -> None:
    await shelf.keep({"u1100": vector(1.0)})
    assert list(await shelf.of([f"u{number}" for number in range(1_200)])) == ["u1100"]
