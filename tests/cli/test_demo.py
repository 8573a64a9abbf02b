"""Model of the demonstration: one for all its starts."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI

from serve_app.cli.demo import store_model
from serve_app.client import Client
from serve_app.simulator import Market
from tests.support.command_server import serve


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[Client]:
    async with serve(app) as url:
        with Client(url) as client:
            yield client


async def test_another_start_finds_the_model_of_the_first(client: Client) -> None:
    market = Market(portfolios=25)

    first = await asyncio.to_thread(store_model, client, market)
    again = await asyncio.to_thread(store_model, client, market)

    assert again == first
    assert (first.name, first.version, len(first.portfolios)) == ("Strategy 1", 1, 5)


async def test_a_start_with_another_market_brings_the_model_up_to_date(client: Client) -> None:
    first = await asyncio.to_thread(store_model, client, Market(portfolios=25))
    other = await asyncio.to_thread(store_model, client, Market(portfolios=10))
    models = await asyncio.to_thread(lambda: [*client.list_models()])

    assert (other.model_id, other.version) == (first.model_id, 2)
    assert len(other.portfolios) == 2
    assert len(models) == 1


async def test_a_model_that_was_rebalanced_is_still_the_same(client: Client) -> None:
    market = Market(portfolios=25)
    first = await asyncio.to_thread(store_model, client, market)
    await asyncio.to_thread(client.rebalance_model, first.model_id)

    again = await asyncio.to_thread(store_model, client, market)

    assert (again.model_id, again.positions) == (first.model_id, first.positions)
