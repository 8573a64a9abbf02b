"""Chunk texts: the JSON that workers wrote for the outcomes of a rebalance, joined as its answer.

Portfolios without any plan are answered with a problem, which no chunk can write alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from optimization import PortfolioOutcome
from serve_app.ports.optimize import RemoteText
from serve_app.ports.rebalances import RemoteElements
from storage.runs.chunk_store import Chunk


class ChunkTexts:
    """Texts of the chunks of one rebalance, which its chunks write in any order."""

    def __init__(self) -> None:
        self._texts: dict[int, tuple[int, RemoteText]] = {}  # portfolios and text; key: first place
        self._has_plans = False

    def add(self, chunk: Chunk, text: RemoteText, *, has_plans: bool) -> None:
        """Add the text of a chunk."""
        self._texts[chunk.first] = len(chunk.portfolio_ids), text
        self._has_plans = self._has_plans or has_plans

    def elements(self, portfolios: int) -> RemoteElements | None:
        """Return the texts of so many portfolios; None if some are missing, or none has a plan."""
        written_portfolios = sum(count for count, _ in self._texts.values())
        if written_portfolios < portfolios or not self._has_plans:
            return None
        return RemoteElements([self._texts[first][1] for first in sorted(self._texts)])


@dataclass(frozen=True, slots=True)
class ChunkPreview:
    """Chunk that stored nothing: the size of its text, its outcomes if none of them has a plan.

    ``held_ids`` are the securities that options name and that a portfolio of the chunk has.
    """

    text_bytes: int
    refused_outcomes: Sequence[PortfolioOutcome]
    held_ids: frozenset[str]


Preview = tuple[Sequence[PortfolioOutcome] | RemoteElements, frozenset[str]]
"""Outcomes or the texts that the chunks wrote, and the ``held_ids`` of all chunks."""


def join_previews(previews: Sequence[ChunkPreview], texts: Sequence[RemoteText]) -> Preview:
    """Join chunks in their order; the outcomes themselves if none of all has a plan."""
    held_ids = frozenset[str]().union(*(preview.held_ids for preview in previews))
    if all(preview.refused_outcomes for preview in previews):
        return [outcome for preview in previews for outcome in preview.refused_outcomes], held_ids
    return RemoteElements(texts), held_ids
