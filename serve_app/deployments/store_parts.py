"""Parts of a store replica: its connections, and its background work."""

import asyncio
from dataclasses import dataclass

from serve_app.audit_keeper import AuditKeeper
from serve_app.observability.logs import correlate_logs
from serve_app.observability.metrics import OBSERVERS
from serve_app.observability.traces import start_traces
from serve_app.orders.submission import OrderSubmitter
from serve_app.resources import Resources, open_resources
from serve_app.settings import Settings


@dataclass(frozen=True, slots=True)
class StoreParts:
    """Parts of the store, in one process and its event loop."""

    resources: Resources
    submitter: OrderSubmitter
    keeping: asyncio.Task[None] | None = None  # kept, because nothing else refers to the task


def open_store(settings: Settings) -> StoreParts:
    """Open the parts of a replica, in the event loop of its methods."""
    correlate_logs()
    start_traces(settings)
    resources = open_resources(settings, OBSERVERS)
    keeping = asyncio.get_running_loop().create_task(AuditKeeper(settings, resources).watch())
    return StoreParts(resources, OrderSubmitter(resources), keeping)
