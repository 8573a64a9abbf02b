r"""A caller inside the cluster: handles instead of HTTP, with the same objects and errors.

    $ RAY_AUTH_MODE=token .venv/bin/ray job submit --address http://127.0.0.1:8265 \
        -- $PWD/.venv/bin/python $PWD/examples/in_cluster.py

The example rebalances the newest model, as a job of the cluster whose dashboard has this address
(`make serve` prints the address). Outside a job RAY_ADDRESS names the cluster; the caller needs the
cluster's versions of Python and Ray, and this package.
"""

import asyncio
import logging
from collections import Counter

import ray

from optimization import NO_OVERRIDES
from serve_app.call_context import CallContext
from serve_app.deployments.handles import connect_optimizer, connect_store
from serve_app.rebalances.exactly_once import rebalance_model
from storage.errors import StorageError
from storage.mongo.sorting import DESCENDING


async def main() -> None:
    """Rebalance every portfolio of the newest model, and print the outcomes."""
    store, optimizer = connect_store(), connect_optimizer()
    models, _ = await store.list_models(0, 1, (("model_id", DESCENDING),))
    if not models:
        print("no model is stored yet")
        return
    model_id = models[0].model_id
    assert model_id is not None
    try:
        with CallContext(
            "examples/in_cluster.py"
        ).activate():  # the id in logs and upstream requests
            run, outcomes = await rebalance_model(optimizer, model_id, NO_OVERRIDES)
    except StorageError as error:  # because errors keep their class between processes
        print(f"{model_id}: {error}")
        return
    counts = Counter(str(outcome.status) for outcome in outcomes)
    print(f"rebalance {run.rebalance_id} of {run.model_name}: {dict(counts)}")
    for outcome in outcomes:
        print(f"{outcome.portfolio_id} {outcome.status} {len(outcome.transactions)} trades")


if __name__ == "__main__":
    # "auto", because without an address Ray would start another, empty cluster.
    ray.init("auto", logging_level=logging.ERROR)
    # Handles need an event loop, which a plain driver does not have.
    asyncio.run(main())
