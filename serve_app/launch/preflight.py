"""Preflight checks before Ray starts: configuration, settings, files, port, disk and database."""

import asyncio
import errno
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pymongo.errors import PyMongoError

from serve_app.launch.listener_tls import require_usable_certificate
from serve_app.launch.ray_environment import ray_directory
from serve_app.observability.traces import require_exporter
from serve_app.settings import Settings, SettingsError, read_settings
from serve_app.simulator import Market
from serve_app.upstream.tls import make_context
from storage.errors import StorageUnavailableError
from storage.mongo.connection import connect, disconnect, ping

CONFIG_NAME = "serve_config.yaml"
MIN_ROOM_MB = 200
OF_THE_PORT = frozenset({errno.EADDRINUSE, errno.EACCES})


def default_config() -> Path:
    """Find serve_config.yaml in the current directory, or else in the package."""
    package = Path(__file__).parents[1]
    candidates = (Path(CONFIG_NAME), package / CONFIG_NAME, package.parent / CONFIG_NAME)
    for path in candidates:
        if path.is_file():
            return path
    raise SettingsError("--config", None, f"name a {CONFIG_NAME}; the package has none")


def read_configuration(
    config: Path | None, overrides: Mapping[str, object]
) -> tuple[Settings, dict[str, Any]]:
    """Read the settings and the Serve configuration; its arguments override the environment."""
    path = default_config() if config is None else config
    try:
        content = yaml.safe_load(path.read_text())
        (application,) = content["applications"]
        args = {**(application.get("args") or {}), **overrides}
        content = _fill_in_defaults(content, application)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise SettingsError("--config", str(path), f"cannot be read: {reason}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        rule = (
            "a Serve configuration with one application is needed;"
            " `ordergen check-config` says more"
        )
        raise SettingsError("--config", str(path), rule) from error
    return read_settings(args), content


def _fill_in_defaults(content: Mapping[str, Any], application: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in Serve's defaults for the keys that a configuration leaves out."""
    deployments = [dict(entry) for entry in application.get("deployments") or ()]
    for deployment in deployments:
        deployment["name"] = str(deployment["name"])
    whole = {"name": "default", "route_prefix": "/", **application, "deployments": deployments}
    optional = {key: dict(content.get(key) or {}) for key in ("http_options", "logging_config")}
    return {**content, **optional, "applications": [whole]}


def require_startable(settings: Settings) -> None:
    """Raise SettingsError for the first setting with which the start would fail later.

    Raises StorageUnavailableError if the database does not respond.
    """
    _require_host_names(settings)
    settings.require_protection(settings.host)
    require_free_port(settings)
    _require_files(settings)
    directory = ray_directory().parent
    free_mb = shutil.disk_usage(directory).free // 1_000_000
    if free_mb < MIN_ROOM_MB:
        rule = (
            f"its disk has {free_mb} MB free, Ray needs {MIN_ROOM_MB} MB;"
            " make room, or set RAY_TMPDIR"
        )
        raise SettingsError("RAY_TMPDIR", str(directory.parent), rule)
    _require_database(settings)


def _require_host_names(settings: Settings) -> None:
    if settings.listens_everywhere and not settings.allowed_hosts:
        rule = (
            f"has to name the hosts by which clients call the service, for HOST is {settings.host};"
            " * allows every name"
        )
        raise SettingsError("ALLOWED_HOSTS", "unset", rule)


def require_free_port(settings: Settings) -> None:
    """Raise SettingsError for HOST or PORT unless the service can listen on them."""
    host, port = settings.host, settings.port
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = addresses[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno in OF_THE_PORT:
            rule = f"cannot be listened on at {host} ({error.strerror}); set another PORT"
            raise SettingsError("PORT", str(port), rule) from error
        rule = f"is no address of this machine ({error.strerror})"
        raise SettingsError("HOST", repr(host), rule) from error


def _require_files(settings: Settings) -> None:
    require_usable_certificate(settings)
    if settings.traces_endpoint is not None:
        require_exporter()
    make_context(settings)
    holdings = settings.holdings_directory
    if holdings is not None and not holdings.is_dir():
        raise SettingsError("HOLDINGS_DIRECTORY", repr(str(holdings)), "is no directory")
    prices = settings.market_prices_file
    if prices is None or not settings.simulated_upstreams:
        return
    try:
        Market(settings.market_seed, settings.market_portfolios, prices_file=prices)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SettingsError("MARKET_PRICES_FILE", repr(str(prices)), reason) from error


def _require_database(settings: Settings) -> None:
    if settings.mongodb_uri is None:
        return
    try:
        asyncio.run(_ping(settings.mongodb_uri.get_secret_value(), settings))
    except StorageUnavailableError as error:
        raise StorageUnavailableError(f"MONGODB_URI: {error.detail}") from error
    except PyMongoError as error:  # named by type, because its text may hold the password
        rule = f"the database refuses it ({type(error).__name__})"
        raise SettingsError("MONGODB_URI", None, rule) from error


async def _ping(uri: str, settings: Settings) -> None:
    database = connect(uri, settings.database_name, settings.database_timeout_ms)
    try:
        await ping(database)
    finally:
        await disconnect(database)
