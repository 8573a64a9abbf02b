"""The composition root: settings in, the Ray Serve application out.

``serve run serve_config.yaml`` and ``ordergen serve`` both come through here; nothing else makes a
deployment.
"""

import logging
import os
from collections.abc import Mapping
from typing import Any

import ray
from ray import serve
from ray.serve import Application
from ray.serve.context import _get_global_client  # pyright: ignore[reportPrivateUsage]

from serve_app.deployments.ingress import Ingress
from serve_app.deployments.optimizer import OptimizerDeployment, open_optimizer
from serve_app.deployments.store import StoreDeployment
from serve_app.deployments.store_parts import open_store
from serve_app.local.stand_ins import start_missing_services, upstreams_line
from serve_app.settings import Settings
from serve_app.tls_proxy import require_tls_proxy

DEPLOYMENTS = ("Ingress", "ModelStore", "Optimizer")

logger = logging.getLogger(__name__)


def build_app(settings: Settings) -> Application:
    """Build the application, and start what the settings leave open on this machine.

    Serve fills the settings from ``args`` in serve_config.yaml and scales the deployments by it.
    """
    settings.require_protection(_find_host() or settings.host)
    require_tls_proxy(settings, os.environ)
    settings = start_missing_services(settings)
    logger.warning("upstreams %s", upstreams_line(settings))
    return compose_application(settings, {})


def _find_host() -> str | None:
    """Return the address on which the proxies of Serve listen; None before Serve runs."""
    if not ray.is_initialized():
        return None
    # A private function of Ray, because no public one tells the address; the version is pinned.
    client = _get_global_client(raise_if_no_controller_running=False)
    return None if client is None else client.http_config.host


def compose_application(
    settings: Settings, scaling: Mapping[str, Mapping[str, Any]]
) -> Application:
    """Bind the three deployments together; ``scaling`` has options by deployment name."""
    logs = {
        "encoding": settings.log_format.upper(),
        "log_level": settings.log_level,
        "enable_access_log": False,
    }

    def deployment(name: str, kind: type, *arguments: object) -> Application:
        options: dict[str, Any] = {"logging_config": logs, **scaling.get(name, {})}
        return serve.deployment(name=name, **options)(kind).bind(*arguments)

    store = deployment("ModelStore", StoreDeployment, settings, open_store)
    optimizer = deployment("Optimizer", OptimizerDeployment, settings, open_optimizer)
    return deployment("Ingress", serve.ingress()(Ingress), settings, store, optimizer)
