"""rebalance_frame: rebalances the portfolios of a data frame; a FrameOutcome has the answers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

import numpy as np

from optimization.block_engine import rebalance_block
from optimization.domain.model import Band, require_targets
from optimization.domain.options import RebalanceOptions
from optimization.domain.portfolio import PricedTarget, find_unpriced, price_targets
from optimization.domain.presentable import Presentable
from optimization.errors import PricesMissingError, RuleError, UnmatchedIdsError
from optimization.exact.block_outcome import BlockOutcome
from optimization.exact.columns import OtherHoldings, PortfolioBlock
from optimization.exact.scaled_column import ScaledColumn
from optimization.frames.holdings_frame import Account, Accounts, read_holdings
from optimization.frames.model_frame import read_model, read_prices
from optimization.presentation.answers import Answer

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FrameOutcome(Mapping[str, Answer], Presentable):
    """Outcomes by portfolio id, in the order of the frame, with the kind of the caller's frame.

    An outcome is a PortfolioOutcome, or the error of a portfolio that has none (a holding without a
    price, no plan in time). Printed, it is a table with a line for each portfolio.

    >>> holdings = {"portfolio": ["ira", "401k"], "security": ["VTI", "OLD"], "quantity": [4, 7]}
    >>> outcome = rebalance_frame(holdings, {"VTI": 245.5}, {"VTI": 0.9}, band=0.2)
    >>> len(outcome), str(outcome["ira"].status), outcome["401k"]
    (2, 'IN_BAND', PricesMissingError(('OLD',)))
    """

    portfolio_ids: tuple[str, ...]
    block: BlockOutcome
    unpriced: Mapping[str, PricesMissingError]
    kind: str
    rows: Mapping[str, int]  # key: portfolio; row in the block

    def __getitem__(self, portfolio_id: str) -> Answer:
        if portfolio_id in self.unpriced:
            return self.unpriced[portfolio_id]
        return self.block.outcome(self.rows[portfolio_id])

    def __iter__(self) -> Iterator[str]:
        return iter(self.portfolio_ids)

    def __len__(self) -> int:
        return len(self.portfolio_ids)

    def __repr__(self) -> str:
        return str(self)

    def to_frame(self, table: str = "trades", kind: str | None = None) -> Any:
        """Make a frame of the trades, the ``"positions"`` or the ``"outcomes"`` of all portfolios.

        >>> outcome = rebalance_frame({"CASH": 500}, {"VTI": 245.5}, {"VTI": 1}, band=1)
        >>> outcome.to_frame()
        {'portfolio': ['portfolio'], 'security': ['VTI'], 'side': ['BUY'], 'quantity': [2], \
'price': [245.5], 'amount': [491.0], 'weight_before': [0.0], 'target': [1.0], \
'weight_after': [0.982]}
        """
        return Presentable.to_frame(self, table, kind or self.kind)


def rebalance_frame(
    holdings: Any,
    prices: Any,
    model: Any,
    options: RebalanceOptions | Mapping[str, Any] | None = None,
    *,
    cash: Any = None,
    band: Band | Mapping[str, Band] | None = None,
) -> FrameOutcome:
    """Rebalance the portfolios of a data frame to one model, all at once.

    A frame is from pandas, polars, pyarrow, any library with the Arrow PyCapsule interface, or a
    mapping of lists; columns are found by their usual names (``USUAL_NAMES``).

    ``holdings``: one row per holding (``portfolio``, ``security``, ``quantity`` in shares; cash in
    rows of the security CASH, $CASH or Cash balance, or in a column ``cash``), or one row per
    portfolio with a column for each security (an empty cell is no holding). Without a column of
    portfolios it is one portfolio, called ``"portfolio"``. A mapping or Series of shares by
    security is one portfolio too.

    ``prices``: currency a share, in columns ``security`` and ``price``, in one row with a column
    for each security, in a mapping or a Series. If the price of a held security is missing or not
    above 0, only the portfolios that hold it get an error.

    ``model``: a Model, weights by security with ``band``, or a frame with columns ``security``,
    ``target`` and bands. ``cash``: one amount, or amounts by portfolio, in place of cash in the
    frame. ``options``: RebalanceOptions, or a mapping such as ``{"cash_floor": "2%"}``; by default
    those of the model.

    Raises FrameError, which names row, column and value of up to twenty faults at once,
    ColumnsError for columns that are missing or ambiguous, PricesMissingError for securities of the
    model without a price, RuleError, EmptyModelError, OptionsConflictError and UnmatchedIdsError.

    >>> holdings = {"account": ["ira"] * 2, "ticker": ["BND", "CASH"], "shares": [90, 2000]}
    >>> prices = {"VTI": 31.50, "BND": 98}
    >>> print(rebalance_frame(holdings, prices, {"VTI": 0.6, "BND": 0.35}, band=0.02))
    ira: REBALANCED
    market value 10,820.00, cash 2,000.00 -> 509.00, drift 38.00 (OPTIMAL)
    security  side  quantity  price    amount  before  target   after
    VTI       BUY        206  31.50  6,489.00   0.00%  60.00%  59.97%
    BND       SELL        51  98.00  4,998.00  81.52%  35.00%  35.32%
    """
    target_model, quotes = read_model(model, band), read_prices(prices)
    options = _read_options(options) or target_model.options or RebalanceOptions()
    require_targets(target_model.targets, options)
    securities = price_targets(target_model, quotes)
    ids = [security.security_id for security in securities]
    accounts, kind = read_holdings(holdings, {*quotes, *ids}, cash)
    _require_matched(options, accounts, ids)
    unpriced = _find_unpriced(accounts, quotes)
    priced = {
        portfolio_id: account
        for portfolio_id, account in accounts.items()
        if portfolio_id not in unpriced
    }
    block = rebalance_block(securities, _build_block(priced, securities, quotes), options)
    rows = {portfolio_id: row for row, portfolio_id in enumerate(priced)}
    return FrameOutcome(tuple(accounts), block, unpriced, kind, rows)


def _read_options(
    options: RebalanceOptions | Mapping[str, Any] | None,
) -> RebalanceOptions | None:
    if options is None or isinstance(options, RebalanceOptions):
        return options
    names = [option.name for option in fields(RebalanceOptions)]
    unknown = next((name for name in options if name not in names), None)
    if unknown is not None:
        rule = f"no such option; there are {', '.join(names)}"
        raise RuleError(("options", unknown), options[unknown], rule)
    return RebalanceOptions(**options)


def _require_matched(options: RebalanceOptions, accounts: Accounts, ids: Sequence[str]) -> None:
    known = {security_id for account in accounts.values() for security_id in account.holdings}
    unmatched = options.find_unmatched(known.union(ids))
    if unmatched:
        raise UnmatchedIdsError(unmatched)


def _find_unpriced(
    accounts: Accounts, prices: Mapping[str, Decimal]
) -> dict[str, PricesMissingError]:
    errors: dict[str, PricesMissingError] = {}
    for portfolio_id, account in accounts.items():
        holdings = (security_id for security_id, shares in account.holdings.items() if shares)
        missing = find_unpriced(holdings, prices)
        if missing:
            errors[portfolio_id] = PricesMissingError(missing)
    return errors


def _build_block(
    accounts: Mapping[str, Account],
    securities: Sequence[PricedTarget],
    prices: Mapping[str, Decimal],
) -> PortfolioBlock:
    """Build the arrays of the accounts: B portfolios, n securities of the model, other holdings."""
    ids = [security.security_id for security in securities]
    shares = [
        account.holdings.get(security_id, ZERO)
        for account in accounts.values()
        for security_id in ids
    ]
    return PortfolioBlock(
        portfolio_ids=tuple(accounts),
        cash=ScaledColumn.from_numbers([account.cash or ZERO for account in accounts.values()]),
        quantities=ScaledColumn.from_numbers(shares, (len(accounts), len(ids))),
        others=_collect_others(accounts, set(ids), prices),
    )


def _collect_others(
    accounts: Mapping[str, Account], model: set[str], prices: Mapping[str, Decimal]
) -> OtherHoldings:
    triples = [
        (row, security_id, shares)
        for row, account in enumerate(accounts.values())
        for security_id, shares in sorted(account.holdings.items())
        if security_id not in model and shares
    ]
    ids = sorted({security_id for _, security_id, _ in triples})
    places = {security_id: place for place, security_id in enumerate(ids)}
    return OtherHoldings(
        rows=np.array([row for row, _, _ in triples], dtype=np.int32),
        securities=np.array([places[security_id] for _, security_id, _ in triples], dtype=np.int32),
        quantities=ScaledColumn.from_numbers([shares for _, _, shares in triples]),
        ids=tuple(ids),
        prices=tuple(prices[security_id] for security_id in ids),
    )
