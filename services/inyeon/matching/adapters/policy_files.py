"""Reads the values of policy sets from their CSV file."""

from __future__ import annotations

from pathlib import Path

from inyeon.matching.adapters.territory_files import refused, rows_of, set_named
from inyeon.matching.domain.policies import Policies, Policy
from inyeon.matching.domain.territories import PolicySet, TableRefused, Territories

COLUMNS = (
    "policy_set",
    "accept_within_s",
    "starvation_bound_s",
    "overflow",
    "skip_within_s",
    "cool_down",
    "minors",
)
YES_NO = {"yes": True, "no": False}


def read_policies(path: Path, territories: Territories) -> Policies:
    """Every set's values. Raises SettingsRefused naming file, line and reason."""
    sets: dict[PolicySet, Policy] = {}
    for where, row in rows_of(path, COLUMNS):
        one = set_named(where, row["policy_set"])
        if one in sets:
            raise refused(where, "POLICY_REPEATED", f"{row['policy_set']} is there twice")
        sets[one] = _policy(where, row)
    try:
        return Policies(territories, sets)
    except TableRefused as error:
        raise refused(str(path), error.reason, str(error)) from error


def _policy(where: str, row: dict[str, str]) -> Policy:
    try:
        return Policy(
            _number(where, row["accept_within_s"]),
            _number(where, row["starvation_bound_s"]),
            _yes_no(where, row["overflow"]),
            _number(where, row["skip_within_s"]),
            _number(where, row["cool_down"]),
            _yes_no(where, row["minors"]),
        )
    except TableRefused as error:
        raise refused(where, error.reason, str(error)) from error


def _number(where: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise refused(where, "POLICY_VALUE", f"{text!r} is no number") from None


def _yes_no(where: str, text: str) -> bool:
    if text not in YES_NO:
        raise refused(where, "POLICY_VALUE", f"{text!r} is neither yes nor no")
    return YES_NO[text]
