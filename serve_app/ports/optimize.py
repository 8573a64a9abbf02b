"""Port of rebalances that store nothing: options, and long bodies for another process.

The other process gets the raw text and returns raw text, because parsing 16 MB of JSON blocks the
event loop for half a second, and sending the parsed body on takes as long.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from optimization import (
    Model,
    OptionOverrides,
    OverridesByPortfolio,
    PortfolioOutcome,
    RebalanceOptions,
)
from serve_app.ports.port import repeatable
from serve_app.upstream.holdings.source import Balance


@dataclass(frozen=True, slots=True)
class GivenOptions:
    """Options of a call by name, and the options that single portfolios override them with."""

    common: OptionOverrides
    own: OverridesByPortfolio

    def build_common(self, time_limit_s: float) -> RebalanceOptions:
        """Build the options of the portfolios without options of their own."""
        return self.common.apply_to(RebalanceOptions(time_limit_s=time_limit_s))

    def build_own(self, time_limit_s: float) -> dict[str, RebalanceOptions]:
        """Build the options of the portfolios with their own, merged over those of the call."""
        defaults = RebalanceOptions(time_limit_s=time_limit_s)
        # The options are merged first, because a portfolio may replace options that conflict.
        return {
            portfolio_id: self.common.override_by(own).apply_to(defaults)
            for portfolio_id, own in self.own.items()
        }


@dataclass(frozen=True, slots=True)
class RawRequest:
    """Raw body of a request, with the path and the date that its answer depends on."""

    text: bytes = field(repr=False)
    path: str
    trade_date: str


@dataclass(frozen=True, slots=True)
class Upload:
    """Body of a request that is read, or answered, as tables.

    ``content_type`` is the header of the body, ``answer_type`` the media type of the answer;
    ``table`` names the table of the answer if its media type holds only one table; with
    ``positions`` an answer in JSON has the price and the amounts of each position.
    """

    data: bytes
    content_type: str
    answer_type: str
    table: str
    path: str
    trade_date: str
    positions: bool = False


@dataclass(frozen=True, slots=True)
class RawResponse:
    """Complete response, in a form that another process can send."""

    status: int
    headers: Mapping[str, str]
    # Several texts are the elements of one JSON array.
    body: "bytes | Sequence[RemoteText]" = field(repr=False)


class RemoteText(Protocol):
    """Text that lies in the memory of the cluster."""

    async def read(self) -> memoryview:
        """Return the bytes; raise ReplicaLostError if they are lost."""
        ...


class StatelessRebalancing(Protocol):
    """Rebalances of the portfolios in a request, without database and upstreams."""

    @repeatable
    @abstractmethod
    async def optimize(
        self,
        model: Model,
        balances: Sequence[Balance],
        prices: Mapping[str, Decimal],
        options: GivenOptions,
    ) -> tuple[PortfolioOutcome, ...]:
        """Return the outcome of each portfolio, in the order of the balances."""
        ...

    @repeatable
    @abstractmethod
    async def optimize_text(self, raw_request: RawRequest) -> RawResponse:
        """Answer the text of a request in another process."""
        ...

    @repeatable
    @abstractmethod
    async def optimize_upload(self, upload: Upload) -> RawResponse:
        """Answer tables, or JSON with tables, in another process."""
        ...
