"""Completions of ids in a shell: of models, rebalances and runs, newest first.

The shell waits, so the service has a second to answer, and no id is offered without an answer.
"""

import os
from collections.abc import Callable, Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from serve_app.client import Client

WITHIN_S: Final = 1.0
RETRY_S: Final = 0.1
MAX_OFFERS: Final = 50
Offer = tuple[str, str]  # an id and what a shell shows beside it


def complete_models(incomplete: str) -> list[Offer]:
    """Offer ids of models with their names."""
    return _offer(
        incomplete,
        lambda client: client.list_models(limit=MAX_OFFERS),
        lambda model: (model.model_id, model.name),
    )


def complete_rebalances(incomplete: str) -> list[Offer]:
    """Offer ids of rebalances with their models and times."""
    return _offer(
        incomplete,
        lambda client: client.list_rebalances(limit=MAX_OFFERS),
        lambda rebalance: (
            rebalance.rebalance_id,
            f"{rebalance.model_name} {rebalance.rebalance_date:%Y-%m-%d %H:%M}",
        ),
    )


def complete_runs(incomplete: str) -> list[Offer]:
    """Offer ids of runs with their states."""
    return _offer(
        incomplete,
        lambda client: client.list_runs(limit=MAX_OFFERS),
        lambda run: (run.run_id, f"{run.status} {run.created_at:%Y-%m-%d %H:%M}"),
    )


def _offer(
    incomplete: str,
    ask: "Callable[[Client], Iterable[Any]]",
    offer: Callable[[Any], Offer],
) -> list[Offer]:
    from serve_app.cli.arguments import URL
    from serve_app.client import Client
    from serve_app.client.saved_login import saved_token
    from serve_app.client.tokens import authorities_from_environment, token_from_environment

    url = os.environ.get("ORDERGEN_URL") or URL
    try:
        token = token_from_environment() or saved_token(url)
        ca_file = authorities_from_environment()
        with Client(
            url, token=token, ca_file=ca_file, timeout_s=WITHIN_S, retry_s=RETRY_S
        ) as client:
            offers = [offer(item) for item in islice(ask(client), MAX_OFFERS)]
    except Exception:  # noqa: BLE001 - an error of any kind would be printed into the prompt
        return []
    return [(item_id, text) for item_id, text in offers if item_id.startswith(incomplete)]
