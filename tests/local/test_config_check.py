from pathlib import Path

import pytest

from serve_app.local.config_check import check_serve_config
from serve_app.settings import SettingsError

DEPLOYMENTS = ("Ingress", "ModelStore", "Optimizer")
RIGHT = """
proxy_location: EveryNode
http_options: {host: 127.0.0.1, port: 8088, request_timeout_s: 60}
applications:
  - name: order-generation
    import_path: serve_app.app:build_app
    route_prefix: /
    args: {log_level: DEBUG, optimization_timeout: 10}
    deployments:
      - name: Optimizer
        max_ongoing_requests: 4
        ray_actor_options: {num_cpus: 1}
        autoscaling_config: {min_replicas: 1, max_replicas: 4, upscale_delay_s: 5}
"""


def refusal_of(tmp_path: Path, text: str) -> str:
    path = tmp_path / "serve_config.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        check_serve_config(path, DEPLOYMENTS)
    return str(caught.value)


def test_a_right_configuration_file_passes_the_check(tmp_path: Path) -> None:
    path = tmp_path / "serve_config.yaml"
    path.write_text(RIGHT)

    check_serve_config(path, DEPLOYMENTS)


@pytest.mark.parametrize("options", ["http_options: {host: 0.0.0.0}", ""])
def test_a_service_without_authentication_for_other_machines_is_refused(
    tmp_path: Path, options: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [options if line.startswith("http_options") else line for line in RIGHT.splitlines()]
    text = "\n".join(lines)

    assert refusal_of(tmp_path, text) == (
        "AUTH is none: everybody who reaches 0.0.0.0 could do everything: set AUTH=keys, or"
        " INSECURE_OFF_LOOPBACK=yes to allow that"
    )
    path = tmp_path / "serve_config.yaml"
    for variable, value in (("AUTH", "keys"), ("INSECURE_OFF_LOOPBACK", "yes")):
        with monkeypatch.context() as patch:
            patch.setenv(variable, value)
            check_serve_config(path, DEPLOYMENTS)


@pytest.mark.parametrize(
    ("right", "wrong", "named", "nearest"),
    [
        ("max_ongoing_requests", "max_ongoing_request", "max_ongoing_request", "requests?"),
        ("upscale_delay_s", "upscale_delay", "autoscaling_config.upscale_delay", "upscale_delay_s"),
        ("num_cpus", "num_cpu", "ray_actor_options.num_cpu", "num_cpus"),
        ("log_level", "loglevel", "loglevel", "log_level"),
        ("request_timeout_s", "request_timeout", "http_options.request_timeout", "timeout_s?"),
        ("name: Optimizer", "name: Optimiser", "deployments.Optimiser", "Optimizer"),
        ("route_prefix", "route_prefx", "applications.0.route_prefx", "route_prefix"),
    ],
)
def test_a_misspelt_key_is_refused_with_the_nearest_right_one(
    tmp_path: Path, right: str, wrong: str, named: str, nearest: str
) -> None:
    refusal = refusal_of(tmp_path, RIGHT.replace(right, wrong))

    assert named in refusal
    assert nearest in refusal


@pytest.mark.parametrize(
    ("right", "wrong", "named"),
    [
        ("max_ongoing_requests: 4", "max_ongoing_requests: 0", "max_ongoing_requests"),
        ("min_replicas: 1", "min_replicas: -1", "autoscaling_config.min_replicas"),
        ("optimization_timeout: 10", "optimization_timeout: 0", "OPTIMIZATION_TIMEOUT"),
        ("applications:", "application:", "application"),
        ("- name: Optimizer", "- {name: Optimizer", "cannot be read"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line_that_names_it(
    tmp_path: Path, right: str, wrong: str, named: str
) -> None:
    refusal = refusal_of(tmp_path, RIGHT.replace(right, wrong))

    assert named in refusal
    assert "\n" not in refusal
