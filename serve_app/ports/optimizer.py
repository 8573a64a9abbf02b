"""Port of the deployment that rebalances."""

from typing import Protocol

from serve_app.ports.drift import DriftMeasurement
from serve_app.ports.drift_scans import DriftScanning
from serve_app.ports.health import LivenessPort, UpstreamChecks
from serve_app.ports.names import SecurityTickers
from serve_app.ports.optimize import StatelessRebalancing
from serve_app.ports.rebalances import Rebalancing
from serve_app.ports.runs import RunControl


class Optimizer(
    Rebalancing,
    StatelessRebalancing,
    DriftMeasurement,
    DriftScanning,
    RunControl,
    SecurityTickers,
    LivenessPort,
    UpstreamChecks,
    Protocol,
):
    """Calls of the Optimizer deployment; its upstreams are accounting, pricing and security."""
