"""Alerts: each asks for series that exist, and has a run book."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
RULES = yaml.safe_load((ROOT / "kuberay/components/monitoring/prometheusrule.yaml").read_text())
RUN_BOOKS = ROOT / "docs/how-to/respond-to-alerts.md"
ALERTS = [rule for group in RULES["spec"]["groups"] for rule in group["rules"]]
# Series of Ray Serve and of Prometheus itself, with the labels that alerts ask for.
OTHERS = {"ray_serve_deployment_replica_healthy": {"deployment"}, "up": {"pod"}}
SUFFIXES = ("", "_bucket", "_count", "_sum")


def own_series() -> dict[str, set[str]]:
    """The series of the service as a node exports them, with their labels."""
    tree = ast.parse((ROOT / "serve_app/observability/metrics.py").read_text())
    series: dict[str, set[str]] = {}
    for function in (each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)):
        constants = {
            target.id: ast.literal_eval(statement.value)
            for statement in function.body
            if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Tuple)
            for target in statement.targets
            if isinstance(target, ast.Name)
        }
        for call in (each for each in ast.walk(function) if isinstance(each, ast.Call)):
            if not (isinstance(call.func, ast.Name) and call.func.id in {"Counter", "Histogram"}):
                continue
            last = call.args[-1]
            name_of_labels = last.id if isinstance(last, ast.Name) else None
            labels = constants.get(name_of_labels, ())
            if isinstance(last, ast.Tuple):
                labels = ast.literal_eval(last)
            name = ast.literal_eval(call.args[0])
            for suffix in SUFFIXES if call.func.id == "Histogram" else ("",):
                series[f"ray_{name}{suffix}"] = {*labels, "le"}
    return series


def asked_for(rule: dict[str, Any]) -> list[tuple[str, set[str]]]:
    """The series of an expression, each with the labels that it selects by."""
    found = re.findall(r"\b(ray_\w+|up)\b(?:\{([^}]*)\})?", rule["expr"])
    return [(name, set(re.findall(r"(\w+)(?:=~|!~|!=|=)", labels))) for name, labels in found]


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_series_and_labels_that_exist(rule: dict[str, Any]) -> None:
    known = own_series() | OTHERS
    asked = asked_for(rule)

    assert asked
    for name, labels in asked:
        assert name in known
        assert labels <= known[name], name


def test_series_are_found_in_the_code() -> None:
    series = own_series()

    assert series["ray_rebalance_runs_total"] == {"status", "le"}
    assert "route" in series["ray_http_request_duration_milliseconds_bucket"]
    assert len(series) > 20


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_has_a_severity_a_summary_and_a_run_book(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"]["summary"].endswith(".")
    assert f"\n## {rule['alert']}\n" in RUN_BOOKS.read_text()
