"""Alerts: each asks for series that exist, has a run book, and is tried on series by promtool."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.prometheus_series import is_exported, known_series, own_series, selectors

ROOT = Path(__file__).parents[2]
RULES = yaml.safe_load((ROOT / "kuberay/components/monitoring/prometheusrule.yaml").read_text())
TRIALS = yaml.safe_load((ROOT / "tests/alerts/alert_trials.yaml").read_text())
RUN_BOOKS = ROOT / "docs/how-to/respond-to-alerts.md"
ALERTS = [rule for group in RULES["spec"]["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_series_and_labels_that_exist(rule: dict[str, Any]) -> None:
    series = list(selectors(rule["expr"]))

    assert series
    for name, labels in series:
        assert name in known_series()
        assert labels <= known_series()[name], name


def test_series_are_found_in_the_code() -> None:
    series = own_series()

    assert "status" in series["ray_rebalance_runs_total"]
    assert series["ray_http_request_duration_milliseconds_bucket"] >= {"route", "le"}
    assert len(series) > 20


def test_series_of_others_are_found_in_their_programs() -> None:
    others = known_series().keys() - own_series().keys()

    assert [name for name in sorted(others) if not is_exported(name)] == []
    assert not is_exported("ray_serve_deployment_replica_health")


@pytest.mark.parametrize("expression", ["sum(rate(ray_tasks[5m])", "sum by (x (ray_tasks)"])
def test_an_expression_that_prometheus_would_refuse_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match="unclosed"):
        list(selectors(expression))


def test_an_aggregation_needs_the_labels_that_it_keeps() -> None:
    assert list(selectors('sum by (route) (rate(ray_x{status="500"}[5m])) > count(ray_y)')) == [
        ("ray_x", {"route", "status"}),
        ("ray_y", set()),
    ]


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_has_a_severity_a_summary_and_a_run_book(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"]["summary"].endswith(".")
    assert f"\n## {rule['alert']}\n" in RUN_BOOKS.read_text()


def test_every_alert_is_tried_on_series_that_fire_it_and_on_series_that_do_not() -> None:
    alerts = {rule["alert"] for rule in ALERTS}
    tried = [
        (rule["alertname"], "exp_alerts" in rule)
        for trial in TRIALS["tests"]
        for rule in trial["alert_rule_test"]
    ]

    assert {name for name, fires in tried if fires} == alerts
    assert {name for name, fires in tried if not fires} == alerts
