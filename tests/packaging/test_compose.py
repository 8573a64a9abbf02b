"""compose.yaml: its parts find each other, and Grafana shows what Prometheus has."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from serve_app.observability.metrics import select_own_series
from serve_app.settings import Settings, read_settings
from tests.support.prometheus_series import own_series

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PROMETHEUS = yaml.safe_load((ROOT / "compose/prometheus.yml").read_text())
LOOPBACK = "127.0.0.1"


def mounts_of(name: str) -> dict[str, str]:
    """Return the mounts of a container: the source file or volume by the path in the container."""
    parts = [volume.split(":") for volume in SERVICES[name].get("volumes", ())]
    return {part[1]: part[0] for part in parts}


def test_the_environment_of_the_service_is_one_with_which_it_starts() -> None:
    environment = SERVICES["service"]["environment"]

    assert {name.lower() for name in environment} <= set(Settings.names())
    settings = read_settings({name.lower(): value for name, value in environment.items()})
    settings.require_protection("0.0.0.0")  # the address of the image
    assert settings.upstreams == "simulated"
    assert str(settings.port) in SERVICES["service"]["ports"][0]


def test_the_service_waits_for_a_replica_set_of_the_name_in_its_address() -> None:
    address = SERVICES["service"]["environment"]["MONGODB_URI"]
    command = SERVICES["mongodb"]["command"]
    probe = SERVICES["mongodb"]["healthcheck"]["test"][-1]

    assert SERVICES["service"]["depends_on"] == {"mongodb": {"condition": "service_healthy"}}
    name = command[command.index("--replSet") + 1]
    assert address == f"mongodb://mongodb:27017/?replicaSet={name}"
    assert f'_id: "{name}"' in probe
    assert 'host: "mongodb:27017"' in probe


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_has_no_more_rights_than_it_needs_and_ports_on_loopback_alone(
    name: str,
) -> None:
    service = SERVICES[name]

    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith(f"{LOOPBACK}:") for port in service.get("ports", ()))
    tag = service["image"].partition(":")[2]
    assert tag
    assert tag != "latest"


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_container_mounts_is_here_or_a_volume(name: str) -> None:
    for source in mounts_of(name).values():
        assert source in COMPOSE["volumes"] or (ROOT / source).exists(), source


def test_the_image_has_the_name_that_the_manifests_give_it() -> None:
    kustomization = yaml.safe_load((ROOT / "kuberay/base/kustomization.yaml").read_text())
    (image,) = kustomization["images"]

    assert SERVICES["service"]["image"] == f"{image['name']}:{image['newTag']}"
    assert (ROOT / SERVICES["service"]["build"] / "Dockerfile").exists()


def test_prometheus_stores_the_series_of_the_service_by_the_names_of_a_node() -> None:
    (scrape,) = PROMETHEUS["scrape_configs"]
    (relabelling,) = scrape["metric_relabel_configs"]
    exported = "".join(f"{name} 1.0\n" for name in own_series())
    names = [line.split()[0] for line in select_own_series(exported).splitlines()]

    assert scrape["static_configs"] == [{"targets": ["service:8088"]}]
    assert (relabelling["source_labels"], relabelling["regex"]) == (["__name__"], "(.+)")
    stored = {relabelling["replacement"].replace("${1}", name) for name in names}
    assert stored == own_series().keys()


def test_prometheus_has_the_alerts_of_the_manifests_that_are_not_of_clusters_alone() -> None:
    mounts = mounts_of("prometheus")
    (option,) = (
        argument for argument in SERVICES["prometheus"]["command"] if "config.file" in argument
    )
    configuration = Path(option.partition("=")[2])
    paths = [str(configuration.parent / path) for path in PROMETHEUS["rule_files"]]
    manifest = yaml.safe_load(
        (ROOT / "kuberay/components/monitoring/prometheusrule.yaml").read_text()
    )
    of_the_service, of_clusters = manifest["spec"]["groups"]

    assert mounts[str(configuration)] == "./compose/prometheus.yml"
    loaded = [yaml.safe_load((ROOT / mounts[path]).read_text()) for path in paths]
    assert loaded == [{"groups": [of_the_service]}], "run `python -m tests.alerts.compose_rules`"
    assert [rule["alert"] for rule in of_clusters["rules"]] == [
        "OrderGenerationOneIngress",
        "OrderGenerationNodeGone",
    ]


def test_grafana_loads_the_dashboards_of_the_manifests_and_asks_prometheus() -> None:
    mounts = mounts_of("grafana")
    texts = {path: ROOT / source for path, source in mounts.items()}
    of_provisioning = "/etc/grafana/provisioning"
    (provider,) = yaml.safe_load(texts[f"{of_provisioning}/dashboards/files.yml"].read_text())[
        "providers"
    ]
    (source,) = yaml.safe_load(texts[f"{of_provisioning}/datasources/prometheus.yml"].read_text())[
        "datasources"
    ]
    dashboards = provider["options"]["path"]
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]

    assert texts[dashboards] == ROOT / "kuberay/components/monitoring/dashboards"
    assert (texts[dashboards] / Path(home).relative_to(dashboards)).exists()
    assert source["url"] == "http://prometheus:9090"
    assert source["isDefault"]
