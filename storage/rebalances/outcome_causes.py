"""Causes: why portfolios have no plan, each reason once with the portfolios that it concerns.

A thousand portfolios that lack the same price have one cause in place of a thousand sentences.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from math import ceil
from typing import Any, Final

from bson import ObjectId
from pymongo import timeout
from pymongo.asynchronous.database import AsyncDatabase

from storage.mongo.connection import WRITER_TIMEOUT_S, Document
from storage.rebalances.outcomes import COLLECTION as OUTCOMES
from storage.rebalances.outcomes import build_id_range
from storage.rebalances.rebalance import COLLECTION as REBALANCES
from storage.rebalances.rebalance import OUTCOME

MAX_EXAMINED: Final = 100_000  # portfolios without a plan, about two seconds of reading
MAX_EXAMPLES: Final = 10
ADMITTED_FRACTIONS: Final = (Decimal("0.5"), Decimal("0.9"), Decimal(1))
"""Parts of the portfolios for which admitting bands are reported."""

SECURITY: Final = "security"
OPTION: Final = "option"
READ: Final = {
    "portfolio_id": 1,
    "problem.code": 1,
    "problem.members.securities": 1,
    "problem.members.limits": 1,
}


@dataclass(frozen=True, slots=True)
class AdmittingBand:
    """The narrowest band with room for a whole lot in at least this part of the portfolios."""

    share: Decimal
    low_drift: Decimal
    high_drift: Decimal


@dataclass(frozen=True, slots=True)
class Cause:
    """A reason, its subject, and the portfolios that it concerns.

    ``kind`` tells whether ``subject`` is a security or an option; both are None if the reason names
    neither.
    """

    code: str
    kind: str | None
    subject: str | None
    portfolios: int
    examples: tuple[str, ...]
    bands: tuple[AdmittingBand, ...] = ()


@dataclass(frozen=True, slots=True)
class Causes:
    """Causes by the number of portfolios; a portfolio without a plan may have several.

    ``examined`` is the number of portfolios without a plan that were read; there may be more if
    ``is_whole`` is false.
    """

    causes: tuple[Cause, ...]
    examined: int
    is_whole: bool


@dataclass(slots=True)
class _Tally:
    """Sums over the refusals that were read."""

    examined: int = 0
    portfolios: Counter[tuple[str, str | None, str | None]] = field(
        default_factory=Counter[tuple[str, str | None, str | None]]
    )
    examples: dict[tuple[str, str | None, str | None], list[str]] = field(
        default_factory=lambda: defaultdict(list)
    )
    bands: dict[str, list[tuple[Decimal, Decimal]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def add(self, outcome: Mapping[str, Any]) -> None:
        """Count the refusal of one portfolio under each of its subjects."""
        self.examined += 1
        problem = outcome["problem"]
        members = problem.get("members", {})
        for kind, subject in _list_subjects(members) or [(None, None)]:
            key = problem["code"], kind, subject
            self.portfolios[key] += 1
            if len(self.examples[key]) < MAX_EXAMPLES:
                self.examples[key].append(outcome["portfolio_id"])
        for security in members.get("securities", ()):
            if isinstance(security, dict) and "smallest_band" in security:
                band = security["smallest_band"]
                width = Decimal(str(band["low_drift"])), Decimal(str(band["high_drift"]))
                self.bands[security["security_id"]].append(width)

    def make_causes(self) -> tuple[Cause, ...]:
        """Make the causes, the most frequent first."""
        return tuple(
            Cause(
                *key,
                count,
                tuple(self.examples[key]),
                _find_bands(self.bands.get(key[2] or "", ())) if key[1] == SECURITY else (),
            )
            for key, count in sorted(
                self.portfolios.items(), key=lambda item: (-item[1], str(item[0]))
            )
        )


async def list_causes(database: AsyncDatabase[Document], rebalance_ids: Sequence[str]) -> Causes:
    """Read why the portfolios of these rebalances have no plan."""
    tally = _Tally()
    with timeout(WRITER_TIMEOUT_S):
        within = {"_id": {"$in": [ObjectId(rebalance_id) for rebalance_id in rebalance_ids]}}
        query = within | {f"{OUTCOME}.problem": {"$exists": True}}
        fields = {f"{OUTCOME}.{name}": 1 for name in READ}
        async for document in database[REBALANCES].find(query, fields):
            tally.add(document[OUTCOME])
        for rebalance_id in rebalance_ids:
            room = MAX_EXAMINED - tally.examined
            if room <= 0:
                return Causes(tally.make_causes(), tally.examined, is_whole=False)
            refusals = {"_id": build_id_range(rebalance_id), "problem": {"$exists": True}}
            # One more than fits, because otherwise nothing shows that there are more.
            documents = database[OUTCOMES].find(refusals, READ, sort=[("_id", 1)], limit=room + 1)
            async for document in documents:
                if tally.examined == MAX_EXAMINED:
                    return Causes(tally.make_causes(), tally.examined, is_whole=False)
                tally.add(document)
    return Causes(tally.make_causes(), tally.examined, is_whole=True)


def _list_subjects(members: Mapping[str, Any]) -> list[tuple[str, str]]:
    securities = [
        (SECURITY, security["security_id"] if isinstance(security, dict) else str(security))
        for security in members.get("securities", ())
    ]
    limits = [(OPTION, limit["option"]) for limit in members.get("limits", ())]
    return list(dict.fromkeys(securities + limits))


def _find_bands(bands: Sequence[tuple[Decimal, Decimal]]) -> tuple[AdmittingBand, ...]:
    """Find the band for each part, from the smallest band of each portfolio.

    >>> bands = [(Decimal(n) / 100, Decimal(n) / 200) for n in (1, 2, 3, 4)]
    >>> [(str(band.share), str(band.low_drift)) for band in _find_bands(bands)]
    [('0.5', '0.02'), ('0.9', '0.04'), ('1', '0.04')]
    """
    if not bands:
        return ()
    by_width = sorted(bands, key=lambda band: (max(band), min(band)))
    groups = [by_width[: ceil(share * len(by_width))] for share in ADMITTED_FRACTIONS]
    return tuple(
        AdmittingBand(share, max(low for low, _ in group), max(high for _, high in group))
        for share, group in zip(ADMITTED_FRACTIONS, groups, strict=True)
    )
