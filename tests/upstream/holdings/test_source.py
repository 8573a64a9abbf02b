"""Balances of many portfolios: failures of one portfolio, and failures of the upstream."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from serve_app.upstream.errors import CircuitOpenError, UpstreamUnavailableError
from serve_app.upstream.holdings import source as holdings
from serve_app.upstream.holdings.source import Balance, BalanceOrError, fetch_holdings

A, B, C = (letter * 24 for letter in "ABC")
GONE = UpstreamUnavailableError("accounting", "it took over 1 s", 1.0)
OPEN = CircuitOpenError("accounting", "5 calls in a row failed", 1.0)


@dataclass
class Troubled:
    """Source where each portfolio fails in its given ways before its balance is returned."""

    troubles: Mapping[str, list[UpstreamUnavailableError]]
    asked: list[tuple[str, ...]] = field(default_factory=list[tuple[str, ...]])

    async def read_holdings(self, portfolio_ids: Iterable[str]) -> Mapping[str, BalanceOrError]:
        self.asked.append(tuple(portfolio_ids))
        return {portfolio_id: self._next(portfolio_id) for portfolio_id in self.asked[-1]}

    def _next(self, portfolio_id: str) -> BalanceOrError:
        left = self.troubles.get(portfolio_id)
        return left.pop(0) if left else Balance(portfolio_id, Decimal(1), {})


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    monkeypatch.setattr(holdings, "PAUSE_S", 0.0)


async def test_who_had_no_answer_is_asked_for_again_alone() -> None:
    source = Troubled({B: [GONE, GONE]})
    found = await fetch_holdings(source, (A, B, C), tries=3)
    assert all(isinstance(found[portfolio_id], Balance) for portfolio_id in (A, B, C))
    assert source.asked == [(A, B, C), (B,), (B,)]


async def test_who_never_has_an_answer_says_so_and_costs_the_others_nothing() -> None:
    source = Troubled({B: [GONE] * 9})
    found = await fetch_holdings(source, (A, B, C), tries=3)
    assert found[B] is GONE
    assert isinstance(found[A], Balance)
    assert len(source.asked) == 3


async def test_with_one_try_one_portfolio_without_an_answer_ends_all() -> None:
    with pytest.raises(UpstreamUnavailableError):
        await fetch_holdings(Troubled({B: [GONE]}), (A, B, C))


async def test_an_upstream_that_answers_for_nobody_is_down() -> None:
    source = Troubled({portfolio_id: [GONE] * 9 for portfolio_id in (A, B)})
    with pytest.raises(UpstreamUnavailableError):
        await fetch_holdings(source, (A, B), tries=3)
    assert len(source.asked) == 1


async def test_an_upstream_whose_circuit_opens_is_down() -> None:
    source = Troubled({B: [GONE, OPEN], C: [GONE, OPEN]})
    with pytest.raises(CircuitOpenError):
        await fetch_holdings(source, (A, B, C), tries=5)
    assert source.asked == [(A, B, C), (B, C)]
