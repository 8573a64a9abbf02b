"""Port of the deployment in front of the database."""

from typing import Protocol

from serve_app.ports.audit import AuditEntries
from serve_app.ports.drift_scans import StoredDriftScans
from serve_app.ports.health import DatabaseCheck, LivenessPort, UpstreamChecks
from serve_app.ports.idempotency import IdempotencyKeys
from serve_app.ports.keys import StoredKeys
from serve_app.ports.models import StoredModels
from serve_app.ports.names import PortfolioNames
from serve_app.ports.orders import OrderSubmissions
from serve_app.ports.proposals import Proposals
from serve_app.ports.rules import StoredRules
from serve_app.ports.runs import StoredRuns
from serve_app.ports.sessions import StoredSessions
from serve_app.ports.stored_rebalances import StoredRebalances


class Store(
    StoredModels,
    StoredRebalances,
    StoredRuns,
    StoredDriftScans,
    StoredRules,
    OrderSubmissions,
    Proposals,
    AuditEntries,
    IdempotencyKeys,
    StoredKeys,
    StoredSessions,
    PortfolioNames,
    LivenessPort,
    UpstreamChecks,
    DatabaseCheck,
    Protocol,
):
    """Calls of the ModelStore deployment; its upstreams are order and portfolio."""
