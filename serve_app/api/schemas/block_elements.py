"""Elements of an answer as JSON text from arrays, without an object for each outcome.

They are byte for byte those of ``outcome_json``, which writes the rows that are not plain.
"""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from functools import cached_property, lru_cache
from itertools import chain
from operator import add
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from optimization import (
    BESIDE,
    NO_WEIGHT,
    STATUSES,
    WEIGHT_PARTS,
    BlockOutcome,
    PortfolioOutcome,
    compute_turnovers,
    compute_weights,
)
from serve_app.api.schemas.outcome_lines import GAP, WRITTEN_GAP, OutcomeLines
from serve_app.api.schemas.rebalances import RebalanceAnswer, binding_json, outcome_json
from serve_app.json_text import encode, plain

# Members of an element that differ between plain outcomes, in their order.
MEMBERS: Final = (
    "portfolio_id",
    "status",
    "transactions",
    "drifts",
    "market_value",
    "base",
    "cash_before_rebalance",
    "cash_after_rebalance",
    "turnover",
    "objective",
    "lower_bound",
    "method",
    "binding",
)


def write_block(
    outcome: BlockOutcome, rebalance_id: str | None, model_id: str | None, lines: OutcomeLines
) -> Iterator[bytes]:
    """Write the element of each row of a block whose ``beside`` are outcomes."""
    writer = _BlockWriter(outcome, rebalance_id, model_id, lines)
    for row, is_plain in enumerate(writer.are_plain.tolist()):
        yield writer.write_plain(row) if is_plain else writer.write_object(row)


class _BlockWriter:
    def __init__(
        self,
        outcome: BlockOutcome,
        rebalance_id: str | None,
        model_id: str | None,
        lines: OutcomeLines,
    ) -> None:
        self._outcome = outcome
        self._ids = rebalance_id, model_id
        self._lines = lines
        self._model = [lines.find_text(security) for security in outcome.securities]
        self._drifts = [text.drift for text in self._model]

    @cached_property
    def are_plain(self) -> NDArray[np.bool_]:
        """Rows of whole shares, none of them short afterwards, and of a market value above 0."""
        outcome, others = self._outcome, self._outcome.others
        are_plain = (outcome.after.units >= 0).all(axis=1)
        are_plain &= outcome.market_value.units > 0
        are_plain &= outcome.status != BESIDE
        are_plain &= ~outcome.before.split()[1].any(axis=1)
        are_plain[others.rows[others.quantities.split()[1] != 0]] = False
        return are_plain

    def write_object(self, row: int) -> bytes:
        """Write the element of any row, by its object."""
        return encode(self._element(row))

    def write_plain(self, row: int) -> bytes:
        """Write the element of a row of ``are_plain``."""
        outcome = self._outcome
        drifts, transactions = self._format_drifts(row), self._format_transactions(row)
        first, end = self._ends[row : row + 2]
        if first < end:
            places = slice(first, end)
            drifts.append(self._others.drifts(places))
            transactions.append(self._others.transactions(places))
        amounts = outcome.amounts(row)
        value, drift = f'"{plain(amounts.market_value)}"', f'"{plain(amounts.objective)}"'
        values = (
            _quote(outcome.portfolio_ids[row]),
            f'"{STATUSES[outcome.status[row]].value}"',
            f"[{','.join(transactions)}]",
            f"[{','.join(drifts)}]",
            value,
            value,
            f'"{plain(amounts.cash_before)}"',
            f'"{plain(amounts.cash_after)}"',
            f'"{plain(self._turnovers[row])}"',
            drift,
            drift,
            f'"{outcome.find_method(row).value}"',
            encode([*map(binding_json, outcome.binding.read_row(row))]).decode(),
            "",
        )
        return "".join(chain.from_iterable(zip(self._constants, values, strict=True))).encode()

    def _element(self, row: int) -> RebalanceAnswer:
        outcome = self._outcome.outcome(row)
        assert isinstance(outcome, PortfolioOutcome)
        return outcome_json(outcome, *self._ids, self._lines)

    @cached_property
    def _constants(self) -> Sequence[str]:
        """Text before, between and after the values of ``MEMBERS``, from the first plain row."""
        row = int(np.argmax(self.are_plain))
        element: dict[str, Any] = {**self._element(row), **dict.fromkeys(MEMBERS, WRITTEN_GAP)}
        return encode(element).decode().split(GAP)

    def _format_drifts(self, row: int) -> list[str]:
        weights = map(_weight_text, self._weights[row])
        rows = zip(self._drifts, self._before[row], self._after[row], weights, strict=True)
        return [
            f'{start}"{was}"{to}"{now}"{middle}"{weight}"{end}'
            for (start, to, middle, end), was, now, weight in rows
        ]

    def _format_transactions(self, row: int) -> list[str]:
        rows = zip(self._model, self._before[row], self._after[row], strict=True)
        return [
            f"{text.buy[0]}{now - was}{text.buy[1]}"
            if now > was
            else f"{text.sell[0]}{was - now}{text.sell[1]}"
            for text, was, now in rows
            if now != was
        ]

    @cached_property
    def _before(self) -> list[list[int]]:
        return self._outcome.before.split()[0].tolist()

    @cached_property
    def _after(self) -> list[list[int]]:
        return self._outcome.after.split()[0].tolist()

    @cached_property
    def _weights(self) -> list[list[int]]:
        return compute_weights(self._outcome).tolist()

    @cached_property
    def _turnovers(self) -> list[Decimal]:
        return compute_turnovers(self._outcome)

    @cached_property
    def _ends(self) -> list[int]:
        """Place of the first holding outside the model of each row, and the end of the last."""
        rows = self._outcome.others.rows
        return np.searchsorted(rows, np.arange(len(self._outcome) + 1)).tolist()

    @cached_property
    def _others(self) -> "_OtherLines":
        return _OtherLines(self._outcome, self._lines)


class _OtherLines:
    """Writer of the lines of holdings outside the model, which are sold or bought back to 0.

    These lines differ in the id and the quantity alone, so the text after them is written once.
    """

    def __init__(self, outcome: BlockOutcome, lines: OutcomeLines) -> None:
        quantities = outcome.others.quantities.split()[0]
        self._places: list[int] = outcome.others.securities.tolist()
        self._quantities = list(map(str, quantities.tolist()))
        self._traded = list(map(str, abs(quantities).tolist()))
        self._is_long: list[bool] = (quantities > 0).tolist()
        frame, ids = lines.build_frame(outcome.other_targets[0]), [*map(_quote, outcome.others.ids)]
        before_id, after_id, to, middle, end = frame.drift
        self._end = f'"{to}"0"{middle}"{plain(NO_WEIGHT)}"{end}'
        self._traded_end = frame.sell[2]
        self._starts = [f'{before_id}{security_id}{after_id}"' for security_id in ids]
        self._sells = [f"{frame.sell[0]}{security_id}{frame.sell[1]}" for security_id in ids]
        self._buys = [f"{frame.buy[0]}{security_id}{frame.buy[1]}" for security_id in ids]

    def drifts(self, places: slice) -> str:
        """Write the drifts of some holdings, joined by commas."""
        starts = map(self._starts.__getitem__, self._places[places])
        return _join(starts, self._quantities[places], self._end)

    def transactions(self, places: slice) -> str:
        """Write the transactions of some holdings, joined by commas."""
        securities, is_long = self._places[places], self._is_long[places]
        if all(is_long):
            starts = map(self._sells.__getitem__, securities)
        else:
            sides = (self._sells if is_sale else self._buys for is_sale in is_long)
            starts = (side[place] for side, place in zip(sides, securities, strict=True))
        return _join(starts, self._traded[places], self._traded_end)


def _quote(text: str) -> str:
    return encode(text).decode()


def _join(starts: Iterable[str], numbers: Sequence[str], end: str) -> str:
    return f"{end},".join(map(add, starts, numbers)) + end


@lru_cache(2 * WEIGHT_PARTS)
def _weight_text(parts: int) -> str:
    """Write a weight with 4 decimals.

    >>> _weight_text(825)
    '0.0825'
    """
    return f"{parts // WEIGHT_PARTS}.{parts % WEIGHT_PARTS:04}"
