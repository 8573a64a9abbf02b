"""Requests to optimize without storing: options, and long bodies that another process reads and answers.

Reading 16 MB of JSON takes half a second in which no other request of a process gets its turn, and so does
handing on what was read. So the text itself goes to the other process, and a text comes back.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from optimization import Model, PortfolioOutcome, RebalanceOptions
from serve_app.ports.port import repeatable
from serve_app.upstream.holdings.source import Balance


@dataclass(frozen=True, slots=True)
class GivenOptions:
    """The options of a call by name, and those that single portfolios have in their place."""

    common: Mapping[str, Any]
    own: Mapping[str, Mapping[str, Any]]  # by portfolio id

    def of_all(self, time_limit_s: float) -> RebalanceOptions:
        """The options of the portfolios that have none of their own."""
        return RebalanceOptions(**self._within(time_limit_s))

    def of_each(self, time_limit_s: float) -> dict[str, RebalanceOptions]:
        """The options of the portfolios that have their own, merged over those of the call."""
        common = self._within(time_limit_s)
        return {each: RebalanceOptions(**{**common, **own}) for each, own in self.own.items()}

    def _within(self, time_limit_s: float) -> dict[str, Any]:
        return {"time_limit_s": time_limit_s, **self.common}


@dataclass(frozen=True, slots=True)
class RawRequest:
    """The body of a request, as it came, and what else its answer hangs on."""

    text: bytes
    path: str
    trade_date: str


@dataclass(frozen=True, slots=True)
class RawResponse:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class StatelessRebalancing(Protocol):
    """Rebalances of portfolios that are given whole; they need neither database nor upstream."""

    @repeatable
    @abstractmethod
    async def optimize(
        self,
        model: Model,
        balances: Sequence[Balance],
        prices: Mapping[str, Decimal],
        options: GivenOptions,
    ) -> tuple[PortfolioOutcome, ...]:
        """Return the outcome of each portfolio, in their order."""
        ...

    @repeatable
    @abstractmethod
    async def optimize_text(self, given: RawRequest) -> RawResponse:
        """Answer the text of a request in another process."""
        ...
