"""Which processes `inyeon up --stack` runs, where they listen and what they are told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from inyeon.cli.cluster.plan import Shared, counts, endpoint, page_of, plan
from inyeon.cli.cluster.stack_file import StackFile, read_stack_file
from inyeon.cli.roles import ROLES
from inyeon.runtime.errors import SettingsRefused

pytestmark = pytest.mark.unit

FACTS = {
    "kafka": ["127.0.0.1:7492"],
    "database_url": "postgresql://inyeon:secret@127.0.0.1:7432/inyeon_{service}",
    "triton": "127.0.0.1:7450",
    "folder": "/x",
}


def from_7500(count: int) -> Sequence[int]:
    return range(7500, 7500 + count)


def shared(folder: Path, **facts: object) -> Shared:
    stack = StackFile.model_validate({**FACTS, **facts})
    return Shared(stack, folder / "data", folder / "keys", "00ff")


def test_one_process_of_each_role_and_no_relay() -> None:
    assert counts([], tuple(ROLES)) == {role: int(role != "relay") for role in ROLES}


def test_more_of_them_are_asked_for_by_role() -> None:
    found = counts(["matching=2", "relay=1", "moderation-worker=0"], tuple(ROLES))
    assert (found["matching"], found["relay"], found["moderation-worker"]) == (2, 1, 0)
    assert found["gateway"] == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mailing=2", "'mailing' is none of"),
        ("matching", "a number from 1 to 8 belongs after matching="),
        ("matching=0", "a number from 1 to 8"),
        ("matching=9", "a number from 1 to 8"),
        ("matching=-1", "a number from 1 to 8"),
        ("relay=9", "a number from 0 to 8"),
        ("", "'' is none of"),
    ],
)
def test_what_is_no_number_of_a_role_is_refused(text: str, words: str) -> None:
    with pytest.raises(SettingsRefused, match=words) as refused:
        counts([text], tuple(ROLES))
    assert refused.value.field == "--replicas"


def test_no_two_processes_share_a_port_a_name_or_a_folder(tmp_path: Path) -> None:
    wanted = counts(["matching=3", "relay=2"], tuple(ROLES))
    members = plan(wanted, shared(tmp_path), from_7500)
    ports = [p for m in members for p in (m.ports.grpc, m.ports.internal, m.ports.http)]
    assert sorted(ports) == list(from_7500(3 * sum(wanted.values())))
    for key in ("INYEON_REPLICA", "INYEON_DATA_DIR"):
        assert len({m.environment[key] for m in members}) == len(members)
    assert {m.environment["INYEON_REPLICA"] for m in members} == {m.name for m in members}


def test_replicas_know_each_other_and_devices_know_all_of_them(tmp_path: Path) -> None:
    members = plan(counts(["matching=2"], tuple(ROLES)), shared(tmp_path), from_7500)
    one, two = (m for m in members if m.role == "matching")
    assert json.loads(one.environment["INYEON_PEERS"]) == [f"127.0.0.1:{two.ports.internal}"]
    assert json.loads(two.environment["INYEON_PEERS"]) == [f"127.0.0.1:{one.ports.internal}"]
    expected = f"127.0.0.1:{one.ports.grpc},127.0.0.1:{two.ports.grpc}"
    assert endpoint(members, "matching") == expected


def test_every_process_is_told_of_the_same_engines_and_keys(tmp_path: Path) -> None:
    members = plan(counts([], tuple(ROLES)), shared(tmp_path), from_7500)
    for member in members:
        told = member.environment
        assert json.loads(told["INYEON_KAFKA_SERVERS"]) == FACTS["kafka"]
        assert told["INYEON_DATABASE_URL"] == FACTS["database_url"]
        assert told["INYEON_INFERENCE_TRITON"] == FACTS["triton"]
        assert told["INYEON_KEYS_DIR"] == str(tmp_path / "keys")


@pytest.mark.parametrize(("relays", "own"), [([], "true"), (["relay=1"], "false")])
def test_services_publish_themselves_unless_there_is_a_relay(
    tmp_path: Path, relays: list[str], own: str
) -> None:
    members = plan(counts(relays, tuple(ROLES)), shared(tmp_path), from_7500)
    assert {m.environment["INYEON_RELAY"] for m in members} == {own}


def test_the_status_page_leads_to_the_review_list_of_moderation(tmp_path: Path) -> None:
    members = plan(counts([], tuple(ROLES)), shared(tmp_path), from_7500)
    (moderation,) = (m for m in members if m.role == "moderation")
    pages = {m.role: m.environment.get("INYEON_GATEWAY_REVIEW_PAGE") for m in members}
    assert pages.pop("gateway") == page_of(moderation.ports) + "review"
    assert set(pages.values()) == {None}


def test_a_stack_without_triton_lets_the_models_run_in_process(tmp_path: Path) -> None:
    members = plan(counts([], tuple(ROLES)), shared(tmp_path, triton=None), from_7500)
    assert {m.environment["INYEON_INFERENCE_TRITON"] for m in members} == {""}


def test_the_stack_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text(json.dumps({**FACTS, "kafka_replication": 3}))
    found = read_stack_file(tmp_path / "stack.json")
    assert (found.kafka, found.kafka_replication) == (("127.0.0.1:7492",), 3)


def test_an_absent_stack_file_says_what_makes_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsRefused, match="run `make stack` first") as refused:
        read_stack_file(tmp_path / "stack.json")
    assert refused.value.reason == "STACK_ABSENT"


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"kafka": []}, "kafka"),
        ({"kafka": ["localhost"]}, "kafka.0"),
        ({"kafka": None}, "kafka"),
        ({"database_url": "postgresql://one/database"}, "database_url"),
        ({"database_url": "sqlite:///{service}"}, "database_url"),
        ({"triton": "http://x"}, "triton"),
        ({"kafka_replication": 0}, "kafka_replication"),
    ],
)
def test_a_stack_file_that_lacks_something_names_it(
    tmp_path: Path, changed: dict[str, object], field: str
) -> None:
    (tmp_path / "stack.json").write_text(json.dumps({**FACTS, **changed}))
    with pytest.raises(SettingsRefused) as refused:
        read_stack_file(tmp_path / "stack.json")
    assert (refused.value.reason, refused.value.field) == ("STACK_INVALID", field)


@pytest.mark.parametrize("text", ["", "[]", "{", "null"])
def test_a_stack_file_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "stack.json").write_text(text)
    with pytest.raises(SettingsRefused) as refused:
        read_stack_file(tmp_path / "stack.json")
    assert refused.value.reason == "STACK_INVALID"
