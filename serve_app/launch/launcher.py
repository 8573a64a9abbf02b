"""Launcher: starts the service on this machine, waits, and stops everything it started."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from typing import Any

from serve_app.launch.database_supervisor import keep_database
from serve_app.launch.ray_environment import (
    OTHERS,
    close_token,
    make_haproxy_directory,
    prepare_environment,
    ray_directory,
    token_line,
)
from serve_app.launch.steps import Say, Step, show_nothing
from serve_app.settings import Settings

WATCH_S = 0.2
DRAIN_WITHIN_S = 5.0
MAX_REASON = 400
LOGS = Path("session_latest", "logs")


class ClusterDidNotStartError(RuntimeError):
    """Ray or Serve did not start; on a busy machine a second attempt may succeed."""

    def __init__(self, reason: str, logs: Path) -> None:
        super().__init__(reason, logs)
        self.reason = reason
        self.logs = logs

    def __str__(self) -> str:
        return (
            f"Ray did not start: {self.reason} (logs: {self.logs}). Is this machine busy, or short"
            " of memory? The service needs 2 GB of memory, and a processor for some seconds: end"
            " something else, try again"
        )


def serve_until_stopped(
    settings: Settings,
    content: Mapping[str, Any],
    say: Say,
    on_start: Callable[[Settings], None],
    step: Step = show_nothing,
) -> None:
    """Run the service until a signal stops the process; call ``on_start`` once it responds.

    The embedded database is restarted if it ends meanwhile. Raises KeyboardInterrupt if the signal
    comes while the service starts.
    """
    stop_signal = threading.Event()

    def interrupt(_number: int, _frame: object) -> None:
        # The event stays set, because an exception in a destructor or a callback goes no further.
        stop_signal.set()
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    with keep_database(settings, say, step) as database:
        complete = settings if database is None else database.settings
        with run_service(complete, content, say, step) as complete:
            on_start(complete)
            _wait_for_signal(stop_signal, database.watch if database is not None else _do_nothing)
            say("stopping")


@contextmanager
def run_service(
    settings: Settings, content: Mapping[str, Any], say: Say, step: Step = show_nothing
) -> Generator[Settings]:
    """Run the service during the block; yield the settings with all addresses filled in."""
    with ExitStack() as stack:
        stack.callback(os.umask, os.umask(OTHERS))
        if (database := stack.enter_context(keep_database(settings, say, step))) is not None:
            settings = database.settings
        begin = time.monotonic()
        haproxy_directory = make_haproxy_directory()
        stack.callback(rmtree, haproxy_directory, ignore_errors=True)
        prepare_environment(settings, haproxy_directory)
        yield _start(settings, content, stack, say, step, begin, haproxy_directory)


def _start(
    settings: Settings,
    content: Mapping[str, Any],
    stack: ExitStack,
    say: Say,
    step: Step,
    begin: float,
    haproxy_directory: Path,
) -> Settings:
    # Ray is imported here, because it reads its environment at import, and because the import takes
    # a second that would delay the report of a wrong setting.
    import ray  # noqa: PLC0415

    from serve_app.local.stand_ins import start_missing_services, upstreams_line  # noqa: PLC0415

    if ray.is_initialized():  # then the service joins this cluster
        stack.callback(_shut_down_serve)
    else:
        say("cluster    starting Ray")
        with step("cluster    starting Ray"):
            dashboard_url = _start_ray(stack)
        say(f"cluster    Ray {ray.__version__}, dashboard http://{dashboard_url} ({_since(begin)})")
        if (line := token_line()) is not None:
            say(f"token      {line}")
        stack.callback(_drain, haproxy_directory)
    begin = time.monotonic()
    with step("upstreams  starting"):
        settings = start_missing_services(settings)
    say(f"upstreams  {upstreams_line(settings)}")
    if settings.simulated_upstreams:
        say(f"market     {settings.order_service_url} ({_since(begin)})")
    begin = time.monotonic()
    with step("service    starting"):
        _start_serve(settings, content)
    say(f"logs       {ray_directory() / LOGS / 'serve'}")
    say(f"service    {format_url(settings)} ({_since(begin)})")
    return settings


def _start_ray(stack: ExitStack) -> str:
    """Start a cluster for this process alone; return the address of its dashboard."""
    import ray  # noqa: PLC0415

    directory = ray_directory()
    handler = signal.getsignal(signal.SIGTERM)
    stack.callback(ray.shutdown)
    with _translate_failures(directory):
        context = ray.init(
            address="local",
            # Ray gets one processor more than the machine has, because the share that replicas
            # reserve would otherwise keep a whole processor from the chunks of a run.
            num_cpus=max(2, os.cpu_count() or 2) + 1,
            include_dashboard=True,
            log_to_driver=False,
            logging_level=logging.CRITICAL,  # because a failed start is reported in one line
            _temp_dir=str(directory),
        )
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)  # because Ray's own handler prints a stack
    close_token()
    return str(context.dashboard_url)


def _start_serve(settings: Settings, content: Mapping[str, Any]) -> None:
    from ray import serve  # noqa: PLC0415

    from serve_app.app import compose_application  # noqa: PLC0415

    logging.getLogger("ray.serve").setLevel(logging.CRITICAL)  # because ``say`` reports the steps
    http = {**content["http_options"], "host": settings.host, "port": settings.port}
    (application,) = content["applications"]
    scaling = {options.pop("name"): options for options in application["deployments"]}
    with _translate_failures(ray_directory()):
        serve.start(
            "HeadOnly",
            http_options=http,
            logging_config=content["logging_config"],
            tracing_config=content.get("tracing_config"),
        )
        serve.run(
            compose_application(settings, scaling),
            name=application["name"],
            route_prefix=application["route_prefix"],
        )


@contextmanager
def _translate_failures(directory: Path) -> Generator[None]:
    """Translate errors of a starting Ray into one error with one line."""
    try:
        yield
    except Exception as error:
        # The cause is reported, because the first line of an actor's error names only its process.
        cause = getattr(error, "cause", None) or error
        lines = str(cause).strip().splitlines() or [type(cause).__name__]
        logs = directory / LOGS
        raise ClusterDidNotStartError(" ".join(lines)[:MAX_REASON], logs) from error


def _shut_down_serve() -> None:
    from ray import serve  # noqa: PLC0415

    serve.shutdown()


def _drain(haproxy_directory: Path) -> None:
    """Let HAProxy accept no more connections, and give it 5 s to answer its open requests.

    Serve's own shutdown would wait for each deployment in turn, and Ray would complain about the
    controller that it kills.
    """
    proxies = _haproxies(haproxy_directory)
    for pid in proxies:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGUSR1)
    until = time.monotonic() + DRAIN_WITHIN_S
    while _haproxies(haproxy_directory) and time.monotonic() < until:
        time.sleep(0.05)


def _haproxies(directory: Path) -> list[int]:
    """List the HAProxy processes whose configuration is in this directory."""
    pids: list[int] = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if f"{directory}/".encode() in entry.read_bytes():
                pids.append(int(entry.parent.name))
    return pids


def format_url(settings: Settings) -> str:
    """Return the URL of the service, as a person would open it."""
    host = "127.0.0.1" if settings.listens_everywhere else settings.host
    scheme = "http" if settings.tls_certificate is None else "https"
    return (
        f"{scheme}://[{host}]:{settings.port}"
        if ":" in host
        else f"{scheme}://{host}:{settings.port}"
    )


def _wait_for_signal(stop_signal: threading.Event, watch: Callable[[], None]) -> None:
    """Wait for the signal to stop; meanwhile call ``watch`` five times a second."""

    def stop(_number: int, _frame: object) -> None:
        stop_signal.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    while not stop_signal.wait(WATCH_S):
        watch()


def _do_nothing() -> None:
    pass


def _since(begin: float) -> str:
    return f"{time.monotonic() - begin:.1f} s"
