"""Dashboards: Grafana can load each, and every query asks for series that exist."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.prometheus_series import known_series, own_series, selectors

ROOT = Path(__file__).parents[2]
DIRECTORY = ROOT / "kuberay/components/monitoring/dashboards"
DASHBOARDS = {path.stem: json.loads(path.read_text()) for path in DIRECTORY.glob("*.json")}
COLUMNS = 24  # of Grafana's grid
# What Grafana puts in place of its variable.
INTERVAL = {"$__rate_interval": "1m"}


def panels_of(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def queries_of(dashboard: dict[str, Any]) -> list[str]:
    return [target["expr"] for panel in panels_of(dashboard) for target in panel["targets"]]


def expand(expression: str) -> str:
    for variable, value in INTERVAL.items():
        expression = expression.replace(variable, value)
    return expression


@pytest.fixture(params=sorted(DASHBOARDS))
def dashboard(request: pytest.FixtureRequest) -> dict[str, Any]:
    return DASHBOARDS[request.param]


def test_every_query_asks_for_series_and_labels_that_exist(dashboard: dict[str, Any]) -> None:
    for query in queries_of(dashboard):
        for name, labels in selectors(expand(query)):
            assert name in known_series(), query
            assert labels <= known_series()[name], query


def test_a_legend_names_labels_that_its_query_keeps(dashboard: dict[str, Any]) -> None:
    for panel in panels_of(dashboard):
        for target in panel["targets"]:
            label_names = {
                part.split("}}")[0].strip() for part in target["legendFormat"].split("{{")[1:]
            }
            label_sets = [labels for _, labels in selectors(expand(target["expr"]))]
            assert label_names <= set.union(*label_sets), panel["title"]


def test_the_service_dashboard_shows_every_metric_of_the_service() -> None:
    series = {
        name for query in queries_of(DASHBOARDS["service"]) for name, _ in selectors(expand(query))
    }
    bases = {name.removesuffix("_bucket") for name in series}
    metrics = {name for name in own_series() if not name.endswith(("_bucket", "_count", "_sum"))}

    assert bases == metrics


def test_every_panel_says_what_it_shows_has_a_unit_and_the_chosen_prometheus(
    dashboard: dict[str, Any],
) -> None:
    (variable,) = dashboard["templating"]["list"]
    source = {"type": variable["query"], "uid": f"${{{variable['name']}}}"}
    assert variable["type"] == "datasource"
    for panel in panels_of(dashboard):
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"] == source
        assert all(target["datasource"] == source for target in panel["targets"])


def test_panels_have_ids_of_their_own_and_do_not_overlap(dashboard: dict[str, Any]) -> None:
    all_cells: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= COLUMNS, panel["title"]
        assert not cells & all_cells, panel["title"]
        all_cells |= cells
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_dashboards_have_addresses_and_titles_of_their_own() -> None:
    uids = {dashboard["uid"] for dashboard in DASHBOARDS.values()}
    titles = {dashboard["title"] for dashboard in DASHBOARDS.values()}

    assert len(uids) == len(titles) == len(DASHBOARDS) == 2
    assert all(dashboard["schemaVersion"] >= 39 for dashboard in DASHBOARDS.values())
