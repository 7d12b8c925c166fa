"""Report and Block: what one person says about another."""

from __future__ import annotations

from inyeon.moderation.app.ports import Ledger, NewReport
from inyeon.moderation.errors import NotInMatch, OwnSelf


class Reporting:
    """The use cases behind Report and Block. Both part the two people for good; a report also opens
    or joins a case."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def report(self, report: NewReport) -> str:
        """Id of the case. Raises OwnSelf, NotInMatch (a stranger cannot be reported),
        StoreUnavailable."""
        _other(report.reporter_id, report.reported_id, "reported_id")
        if not await self._ledger.were_matched(
            report.match_id, report.reporter_id, report.reported_id
        ):
            raise NotInMatch("you were not in that match with them", field="match_id")
        return await self._ledger.report(report)

    async def block(self, user_id: str, blocked_id: str) -> None:
        """Parts the two. Raises OwnSelf, StoreUnavailable."""
        _other(user_id, blocked_id, "blocked_id")
        await self._ledger.block(user_id, blocked_id)


def _other(user_id: str, other_id: str, field: str) -> None:
    if user_id == other_id:
        raise OwnSelf("that is you", field=field)
