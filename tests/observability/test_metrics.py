"""Metrics of the service: the part of a Ray node's export that /metrics serves."""

from serve_app.observability.metrics import select_own_series

EXPORT = """\
# HELP ray_http_requests_total Requests that were answered
# TYPE ray_http_requests_total counter
ray_http_requests_total{route="/api/v1/models",status="200"} 3.0
# HELP ray_tasks Current number of tasks
# TYPE ray_tasks gauge
ray_tasks{Name="ray_http_task",State="RUNNING"} 7.0
ray_serve_num_http_requests_total{route="/"} 9.0
# TYPE ray_rebalance_runs_total counter
ray_rebalance_runs_total{status="STOPPED"} 1.0
python_info{version="3.11"} 1.0
"""


def test_the_service_exports_its_own_series_without_the_prefix_and_nothing_of_ray() -> None:
    assert (
        select_own_series(EXPORT)
        == """\
# HELP http_requests_total Requests that were answered
# TYPE http_requests_total counter
http_requests_total{route="/api/v1/models",status="200"} 3.0
# TYPE rebalance_runs_total counter
rebalance_runs_total{status="STOPPED"} 1.0
"""
    )


def test_a_node_that_has_counted_nothing_yet_exports_nothing() -> None:
    assert select_own_series("# TYPE ray_tasks gauge\nray_tasks 1.0\n") == ""
