"""A caller over HTTP with an event loop: preview several models concurrently, store nothing.

$ python examples/http_client_async.py http://127.0.0.1:8088
"""

import asyncio
import sys
from decimal import Decimal

from serve_app.client import AsyncClient, Model, ProblemError

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8088"
MAX_MODELS = 10


async def main() -> None:
    """Print the trades that a rebalance of each of the newest models would make."""
    async with AsyncClient(URL) as client:
        models: list[Model] = []
        async for model in client.list_models(sort_by="-model_id", limit=MAX_MODELS):
            models.append(model)
            if len(models) == MAX_MODELS:
                break
        turnovers = await asyncio.gather(*(turnover(client, model) for model in models))
    for model, value in zip(models, turnovers, strict=True):
        print(f"{model.name}: {value}")


async def turnover(client: AsyncClient, model: Model) -> str:
    """Compute the exact value of all trades of a preview."""
    try:
        outcomes = await client.rebalance_model(model.model_id, dry_run=True)
    except ProblemError as problem:
        return problem.detail
    total = sum((outcome.turnover for outcome in outcomes), Decimal(0))
    return f"{total:,} to trade in {len(outcomes)} portfolios"


if __name__ == "__main__":
    asyncio.run(main())
