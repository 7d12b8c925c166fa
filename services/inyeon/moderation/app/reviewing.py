"""The reviewers' use cases: list cases, decide one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from inyeon.moderation.app.ports import Ledger
from inyeon.moderation.domain.cases import Case, Decision
from inyeon.moderation.errors import ReviewerNeeded

ROLE = "reviewer"
PAGE = 50
PAGE_LIMIT = 200


class Reviewing:
    """Only for callers with the role; every decision is appended to the chain with who, what and
    why."""

    def __init__(self, ledger: Ledger, dismissed: Callable[[str], Awaitable[None]]) -> None:
        self._ledger = ledger
        self._dismissed = dismissed

    async def cases(
        self, roles: frozenset[str], *, open_only: bool | None, size: int = PAGE, after: str = ""
    ) -> tuple[list[Case], str]:
        """A page, most urgent first, and the next page's token. Raises ReviewerNeeded,
        PageRefused."""
        _reviewer(roles)
        return await self._ledger.cases(
            open_only=open_only, size=min(size or PAGE, PAGE_LIMIT), after=after
        )

    async def decide(
        self, roles: frozenset[str], reviewer: str, case_id: str, decision: Decision, note: str
    ) -> Case:
        """Closes a case; a dismissed protection is taken back at once. Raises ReviewerNeeded,
        CaseMissing, CaseClosed."""
        _reviewer(roles)
        done = await self._ledger.decide(case_id, reviewer, decision, note)
        if done.verdict is not None:
            await self._dismissed(done.case.user_id)
        return done.case

    async def audit(self, roles: frozenset[str]) -> int | None:
        """First decision of the chain that does not hold, or None. Raises ReviewerNeeded."""
        _reviewer(roles)
        return await self._ledger.audit()


def _reviewer(roles: frozenset[str]) -> None:
    if ROLE not in roles:
        raise ReviewerNeeded(f"this needs the role {ROLE}")
