"""Holdings by summaries: the balance or error of each portfolio of a batch."""

import asyncio
from decimal import Decimal
from typing import Any

import httpx

from serve_app.upstream.errors import (
    HoldingsMissingError,
    UpstreamContractError,
    UpstreamUnavailableError,
)
from serve_app.upstream.holdings.source import Balance, HoldingsSource
from serve_app.upstream.holdings.summaries import AccountingService
from serve_app.upstream.retry_policy import Policy
from tests.support.upstream_servers import start_client

IDS = tuple(f"{number:024x}" for number in range(50))


def summary(cash: object = "100.50", *held: tuple[str, object]) -> httpx.Response:
    rows = [{"securityId": security, "netQuantity": quantity} for security, quantity in held]
    body = {"cashBalance": cash, "securityCount": len(rows), "securities": rows}
    return httpx.Response(200, json=body)


def balances(rows: list[dict[str, Any]], total: int, more: bool = False) -> httpx.Response:
    pagination = {"total": total, "hasMore": more}
    return httpx.Response(200, json={"balances": rows, "pagination": pagination})


class Books:
    """Accounting service: summaries by portfolio id, otherwise 500; pages of /balances."""

    def __init__(
        self,
        summaries: dict[str, httpx.Response | None],
        pages: tuple[httpx.Response, ...] = (balances([], 0),),
    ) -> None:
        self.summaries = summaries
        self.pages = list(pages)
        self.requests: list[str] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request.url.path)
        await asyncio.sleep(0.001)
        if request.url.path.endswith("/balances"):
            return self.pages.pop(0) if len(self.pages) > 1 else self.pages[0]
        answer = self.summaries.get(request.url.path.split("/")[4])
        return answer or httpx.Response(500, json={"error": {"code": "INTERNAL_ERROR"}})


def accounting(books: Books, policy: Policy | None = None) -> AccountingService:
    chosen = policy or Policy(backoff_s=0.0, concurrency=8)
    return AccountingService(start_client(books, chosen, "accounting"))


async def test_cash_and_shares_arrive_exact_and_without_rows_of_zero() -> None:
    answer = summary("-12.34567891", ("A", "1.00000001"), ("B", "-7"), ("C", "0"), ("D", "0.00"))
    source: HoldingsSource = accounting(Books({IDS[0]: answer}))

    found = await source.read_holdings(IDS[:1])

    held = {"A": Decimal("1.00000001"), "B": Decimal(-7)}
    assert found == {IDS[0]: Balance(IDS[0], Decimal("-12.34567891"), held)}


async def test_decimals_as_json_numbers_are_exact_too() -> None:
    body = (
        b'{"cashBalance":0.1,"securities":[{"securityId":"A","netQuantity":12345678901.12345678}]}'
    )
    source = accounting(Books({IDS[0]: httpx.Response(200, content=body)}))

    found = await source.read_holdings(IDS[:1])

    held = {"A": Decimal("12345678901.12345678")}
    assert found[IDS[0]] == Balance(IDS[0], Decimal("0.1"), held)


async def test_an_account_with_a_balance_of_nothing_exists() -> None:
    found = await accounting(Books({IDS[0]: summary("0")})).read_holdings(IDS[:1])

    assert found[IDS[0]] == Balance(IDS[0], Decimal(0), {})


async def test_a_portfolio_without_balances_fails_alone_and_is_not_tried_again() -> None:
    books = Books({IDS[0]: summary(), IDS[2]: summary()})

    found = await accounting(books).read_holdings(IDS[:3])

    assert isinstance(found[IDS[0]], Balance)
    assert isinstance(found[IDS[2]], Balance)
    error = found[IDS[1]]
    assert isinstance(error, HoldingsMissingError)
    assert error.portfolio_id == IDS[1]
    assert len(books.requests) == 4


async def test_any_number_of_portfolios_without_balances_leaves_the_circuit_closed() -> None:
    books = Books({IDS[-1]: summary()})
    source = accounting(books, Policy(backoff_s=0.0, concurrency=1, breaker_threshold=2))

    found = await source.read_holdings(IDS)

    assert sum(isinstance(balance, HoldingsMissingError) for balance in found.values()) == 49
    assert isinstance(found[IDS[-1]], Balance)


async def test_a_500_for_a_portfolio_that_has_balances_is_a_fault_of_the_service() -> None:
    books = Books({IDS[0]: summary()}, (balances([{}], 7),))

    found = await accounting(books).read_holdings(IDS[1:2])

    assert isinstance(found[IDS[1]], UpstreamUnavailableError)
    assert "answered 500" in str(found[IDS[1]])
    assert len(books.requests) == 5  # summary, balances, summary three times


async def test_a_500_that_passes_costs_nothing_but_another_question() -> None:
    class Recovering(Books):
        async def __call__(self, request: httpx.Request) -> httpx.Response:
            answer = await super().__call__(request)
            self.summaries[IDS[0]] = summary("5")
            return answer

    found = await accounting(Recovering({}, (balances([{}], 7),))).read_holdings(IDS[:1])

    assert found[IDS[0]] == Balance(IDS[0], Decimal(5), {})


async def test_an_answer_that_cannot_be_read_fails_its_portfolio_alone() -> None:
    odd = httpx.Response(200, content=b"<html>")
    nameless = httpx.Response(200, json={"cashBalance": "1", "securities": [{"netQuantity": "1"}]})
    endless = summary("NaN")
    word = summary("1", ("A", "many"))
    answers = dict(
        zip(IDS, (summary(), odd, nameless, endless, word, httpx.Response(403)), strict=False)
    )

    found = await accounting(Books(answers)).read_holdings(IDS[:6])

    assert isinstance(found[IDS[0]], Balance)
    assert all(isinstance(found[portfolio], UpstreamContractError) for portfolio in IDS[1:6])
    assert IDS[2] in str(found[IDS[2]])


async def test_a_portfolio_whose_balances_cannot_be_had_costs_the_others_nothing() -> None:
    answers: dict[str, httpx.Response | None] = {portfolio_id: summary() for portfolio_id in IDS}
    answers[IDS[3]] = httpx.Response(503)

    found = await accounting(Books(answers)).read_holdings(IDS)

    lost = [
        portfolio_id
        for portfolio_id, balance in found.items()
        if isinstance(balance, UpstreamUnavailableError)
    ]
    assert lost == [IDS[3]]
    assert sum(isinstance(balance, Balance) for balance in found.values()) == len(IDS) - 1


async def test_a_portfolio_is_asked_for_once_however_often_it_is_named() -> None:
    books = Books({IDS[0]: summary()})

    found = await accounting(books).read_holdings([IDS[0]] * 5)

    assert list(found) == [IDS[0]]
    assert len(books.requests) == 1


def page(first: int, count: int, total: int = 1500) -> httpx.Response:
    rows = [
        {"id": number, "securityId": f"S{number}", "quantityLong": "3", "quantityShort": "1"}
        for number in range(first, first + count)
    ]
    if first == 0:
        rows[0] = {"id": 0, "quantityLong": "12.5", "quantityShort": "0"}
    return balances(rows, total, more=first + count < total)


def cut() -> httpx.Response:
    return summary("12.5", *((f"S{number}", "2") for number in range(1, 1000)))


async def test_a_summary_that_was_cut_is_read_again_by_pages() -> None:
    books = Books({IDS[0]: cut()}, (page(0, 1000), page(1000, 500)))

    balance = (await accounting(books).read_holdings(IDS[:1]))[IDS[0]]

    assert isinstance(balance, Balance)
    assert balance.cash == Decimal("12.5")
    assert len(balance.holdings) == 1499
    assert set(balance.holdings.values()) == {Decimal(2)}


async def test_pages_between_which_a_row_moved_are_read_again() -> None:
    moved = (page(0, 1000), page(999, 500, total=1499))
    books = Books({IDS[0]: cut()}, (*moved, page(0, 1000), page(1000, 500)))

    balance = (await accounting(books).read_holdings(IDS[:1]))[IDS[0]]

    assert isinstance(balance, Balance)
    assert len(balance.holdings) == 1499


async def test_pages_that_never_fit_together_fail_their_portfolio() -> None:
    books = Books({IDS[0]: cut()}, (page(0, 1000, total=999),))

    error = (await accounting(books).read_holdings(IDS[:1]))[IDS[0]]

    assert isinstance(error, UpstreamContractError)
    assert "change while they are read" in str(error)
