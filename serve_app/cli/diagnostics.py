"""Checks of `ordergen doctor`; each check ends within seconds and raises nothing."""

import asyncio
import platform
import ssl
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import httpx

from serve_app.client import Client, ProblemError
from serve_app.client.tokens import authorities_from_environment
from serve_app.settings import UPSTREAM_URLS, Settings, SettingsError, read_settings

MIN_PYTHON_VERSION = (3, 11)
WITHIN_S = 3.0
MAX_CLOCK_SKEW_S = 5.0


@dataclass(frozen=True, slots=True)
class Check:
    """Finding of one check, with a remedy unless the verdict is ok."""

    name: str
    verdict: Literal["ok", "warn", "fail"]
    detail: str
    remedy: str = ""


def run_checks(url: str | None) -> list[Check]:
    """Run all checks, in the order in which the service needs what they check."""
    checks = [_check_python(), _check_ray(), _check_solver()]
    try:
        settings = read_settings()
    except SettingsError as error:
        remedy = "docs/reference/settings.md has every setting, its default and its rule"
        return [*checks, Check("settings", "fail", str(error), remedy)]
    clocks: list[str] = []
    checks += [Check("settings", "ok", "valid"), _check_database(settings)]
    checks += [*_check_upstreams(settings, clocks), *_check_credentials(settings)]
    checks += [_check_service(settings, url, clocks), _check_clock(clocks)]
    return checks


def _check_python() -> Check:
    detail = f"Python {platform.python_version()}, {sys.executable}"
    if sys.version_info < MIN_PYTHON_VERSION:
        return Check("python", "fail", detail, "use Python 3.11 or newer: make install PYTHON=...")
    return Check("python", "ok", detail)


def _check_ray() -> Check:
    try:
        import ray
        from ray import serve
    except ImportError as error:
        return Check("ray", "fail", str(error), "make install")
    return Check("ray", "ok", f"Ray {ray.__version__} with {serve.__name__}")


def _check_solver() -> Check:
    """Solve a portfolio with a group and a limit on trades, because both need the solver."""
    try:
        from optimization import (
            DriftBand,
            GroupBand,
            Model,
            Portfolio,
            RebalanceOptions,
            Target,
            rebalance,
        )

        ids = [letter * 24 for letter in "AB"]
        band = DriftBand(Decimal("0.2"), Decimal("0.2"))
        targets = tuple(Target(security_id, Decimal("0.4"), band) for security_id in ids)
        prices = {security_id: Decimal("31.50") for security_id in ids}
        group = GroupBand("both", frozenset(ids), Decimal(0), Decimal("0.7"))
        options = RebalanceOptions(groups=(group,), maximum_trades=2, time_limit_s=WITHIN_S)
        begin = time.perf_counter()
        portfolio = Portfolio("P" * 24, Decimal(1000), {}, prices)
        answer = rebalance(Model("doctor", targets, ("P" * 24,)), portfolio, options)
        seconds = time.perf_counter() - begin
        certificate = answer.certificate
    except Exception as error:  # noqa: BLE001 - any error is the finding
        return Check("solver", "fail", f"{type(error).__name__}: {error}", "make clean install")
    if (
        certificate is None
        or sum(transaction.quantity for transaction in answer.transactions) != 22
    ):
        return Check("solver", "fail", "a small problem has a wrong answer", "make clean install")
    detail = f"{certificate.method} in {seconds:.2f} s, {certificate.proof}"
    return Check("solver", "ok", detail)


def _check_database(settings: Settings) -> Check:
    from storage.embedded.engines import find_engine
    from storage.errors import NoServerBinaryError, StorageUnavailableError

    if settings.mongodb_uri is None:
        try:
            engine = find_engine(settings.mongod)
        except NoServerBinaryError as error:
            remedy = "install mongod 5.0 or newer, name it in MONGOD, or set MONGODB_URI"
            return Check("database", "fail", str(error), remedy)
        return Check("database", "ok", f"embedded {engine}, data in {settings.data_directory}")
    uri, remedy = settings.mongodb_uri.get_secret_value(), "start it, or correct MONGODB_URI"
    try:
        hello = asyncio.run(_send_hello(uri, settings.database_name))
    except StorageUnavailableError as error:
        return Check("database", "fail", f"MONGODB_URI: {error}", remedy)
    except Exception as error:  # noqa: BLE001 - named by type, because a URI has a password
        return Check("database", "fail", f"MONGODB_URI: {type(error).__name__}", remedy)
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        remedy = "rebalances are stored in transactions: make it a replica set"
        return Check("database", "fail", "MONGODB_URI: a server without a replica set", remedy)
    return Check("database", "ok", "MONGODB_URI answers")


async def _send_hello(uri: str, database_name: str) -> Mapping[str, Any]:
    from storage.mongo.connection import connect, disconnect, failure_translation

    database = connect(uri, database_name, int(WITHIN_S * 1000))
    try:
        with failure_translation():
            return await database.command("hello")
    finally:
        await disconnect(database)


def _check_upstreams(settings: Settings, clocks: list[str]) -> Iterator[Check]:
    from serve_app.upstream.tls import describe_tls_failure, make_context

    if settings.simulated_upstreams:
        yield Check("upstreams", "ok", "all simulated")
        return
    try:
        tls = make_context(settings)
    except SettingsError as error:
        yield Check("upstreams", "fail", str(error), f"correct {error.variable}")
        return
    with httpx.Client(verify=tls, timeout=WITHIN_S, trust_env=False) as http:
        for name in UPSTREAM_URLS.values():
            try:
                with http.stream("GET", f"{getattr(settings, name)}/") as answer:
                    clocks.append(answer.headers.get("Date", ""))
            except httpx.HTTPError as error:
                reason = describe_tls_failure(error) or type(error).__name__
                detail = f"{name.upper()} does not answer: {reason}"
                yield Check("upstream", "fail", detail, f"start it, or correct {name.upper()}")
            else:
                yield Check("upstream", "ok", f"{name.upper()} answers")


def _check_credentials(settings: Settings) -> Iterator[Check]:
    """Request a token if the upstreams need tokens."""
    from serve_app.resources import build_token_endpoint
    from serve_app.upstream.retry_policy import NotSentError
    from serve_app.upstream.tls import make_context

    endpoint = build_token_endpoint(settings, make_context(settings))
    if endpoint is None or settings.simulated_upstreams:
        return
    remedy = "correct UPSTREAM_TOKEN_URL, UPSTREAM_CLIENT_ID or UPSTREAM_CLIENT_SECRET"
    try:
        asyncio.run(replace(endpoint, within_s=WITHIN_S).fetch())
    except NotSentError as error:
        yield Check("credentials", "fail", error.detail, remedy)
    else:
        yield Check("credentials", "ok", "UPSTREAM_TOKEN_URL gives a token")


def _check_service(settings: Settings, url: str | None, clocks: list[str]) -> Check:
    from serve_app.launch.launcher import format_url
    from serve_app.launch.preflight import require_free_port

    where = url or format_url(settings)
    if url is None:
        try:
            require_free_port(settings)
        except SettingsError as error:
            if error.variable != "PORT":
                return Check("service", "fail", str(error), f"correct {error.variable}")
        else:
            detail = f"does not run; port {settings.port} is free for it"
            return Check("service", "ok", detail)
    try:
        ca_file = authorities_from_environment()
        with Client(where, ca_file=ca_file, timeout_s=WITHIN_S, retry_s=0.1) as client:
            parts = client.ready().checks
        tls = ssl.create_default_context(cafile=ca_file)
        answer = httpx.get(f"{where}/health/live", verify=tls, trust_env=False)
        clocks.append(answer.headers.get("Date", ""))
    except ProblemError as problem:
        remedy = "docs/reference/operations.md has what fails and what then"
        return Check("service", "fail", f"{where}: {problem.detail}", remedy)
    except (httpx.HTTPError, OSError, ValueError) as error:
        remedy = "make serve, or correct ORDERGEN_URL"
        if url is None:
            remedy = "another program has this port: end it, or set another PORT"
        return Check("service", "fail", f"{where} is not the service: {error}", remedy)
    healthy = ", ".join(f"{name} {state}" for name, state in parts.items())
    return Check("service", "ok", f"{where} is ready: {healthy}")


def _parse_date(date: str) -> datetime | None:
    """Parse a Date header; None if it is invalid."""
    try:
        return parsedate_to_datetime(date).astimezone(UTC)
    except (OverflowError, ValueError):
        return None


def _check_clock(clocks: list[str]) -> Check:
    """Compare the clock with other services, because trade dates and sorting depend on it."""
    now = datetime.now(UTC)
    others = [moment for date in clocks if (moment := _parse_date(date)) is not None]
    skews = [abs((now - other).total_seconds()) for other in others]
    detail = f"{now:%Y-%m-%d %H:%M:%S} UTC"
    if not skews:
        return Check("clock", "ok", f"{detail}, and no other to compare it with")
    if max(skews) > MAX_CLOCK_SKEW_S:
        detail = f"{detail}, {max(skews):.0f} s from that of another service"
        return Check("clock", "warn", detail, "synchronise the clocks of these machines (NTP)")
    return Check("clock", "ok", f"{detail}, as with the services that answer")
