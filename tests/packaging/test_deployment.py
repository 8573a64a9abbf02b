import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from serve_app.app import DEPLOYMENTS
from serve_app.launch.ray_environment import FAST
from serve_app.local.config_check import check_serve_config
from serve_app.settings import Settings, SettingsError

ROOT = Path(__file__).parents[2]
SERVE_CONFIG = ROOT / "serve_config.yaml"
# The schema of KubeRay lies beside the checkout if at all, because it is not ours to copy.
RAYSERVICE_SCHEMA = ROOT.parent / "shared/data/rayservice-v1.schema.json"


@pytest.fixture(scope="module")
def rayservice() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "kuberay/rayservice.yaml").read_text())


@pytest.fixture(scope="module")
def pods(rayservice: dict[str, Any]) -> list[dict[str, Any]]:
    """The specifications of the head's and every worker group's pods."""
    cluster = rayservice["spec"]["rayClusterConfig"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [group["template"]["spec"] for group in groups]


def test_the_shipped_serve_configuration_has_no_key_that_serve_would_ignore() -> None:
    check_serve_config(SERVE_CONFIG, DEPLOYMENTS)


@pytest.mark.parametrize("key", ["max_ongoing_requests", "num_replicas", "autoscaling_config"])
def test_a_misspelt_key_in_it_would_be_refused(tmp_path: Path, key: str) -> None:
    wrong = tmp_path / "serve_config.yaml"
    wrong.write_text(SERVE_CONFIG.read_text().replace(f"{key}:", f"{key}s:", 1))

    with pytest.raises(SettingsError, match=f"did you mean {key}"):
        check_serve_config(wrong, DEPLOYMENTS)


def test_the_rayservice_is_one_that_kuberay_takes(rayservice: dict[str, Any]) -> None:
    cluster = rayservice["spec"]["rayClusterConfig"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]

    assert (rayservice["apiVersion"], rayservice["kind"]) == ("ray.io/v1", "RayService")
    assert all(len(group["template"]["spec"]["containers"]) == 1 for group in groups)
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    assert all(
        0 < group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
        for group in cluster["workerGroupSpecs"]
    )
    assert cluster["authOptions"] == {"mode": "token"}
    if RAYSERVICE_SCHEMA.exists():
        schema = json.loads(RAYSERVICE_SCHEMA.read_text())
        faults = jsonschema.Draft202012Validator(schema).iter_errors(rayservice)
        assert [f"{list(fault.absolute_path)}: {fault.message}" for fault in faults] == []


def test_the_rayservice_carries_the_serve_configuration_with_the_host_of_a_cluster(
    rayservice: dict[str, Any],
) -> None:
    carried = yaml.safe_load(rayservice["spec"]["serveConfigV2"])
    own = yaml.safe_load(SERVE_CONFIG.read_text())

    assert own["http_options"]["host"] == "127.0.0.1"
    assert carried["http_options"].pop("host") == "0.0.0.0"
    del own["http_options"]["host"]
    assert carried == own


def test_head_and_workers_have_one_image_and_one_environment(pods: list[dict[str, Any]]) -> None:
    containers = [pod["containers"][0] for pod in pods]
    environment = {entry["name"]: entry for entry in containers[0]["env"]}
    ours = {name.lower() for name in environment} & set(Settings.names())

    assert all(container["env"] == containers[0]["env"] for container in containers)
    assert len({container["image"] for container in containers}) == 1
    of_serve = {
        name: each["value"] for name, each in environment.items() if name[:10] == "RAY_SERVE_"
    }
    program = of_serve.pop("RAY_SERVE_HAPROXY_BINARY_PATH")
    assert of_serve == {name: FAST[name] for name in of_serve}
    assert of_serve.keys() >= {"RAY_SERVE_ENABLE_HA_PROXY", "RAY_SERVE_THROUGHPUT_OPTIMIZED"}
    assert "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH" in of_serve
    assert "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S" in of_serve
    assert f"PATH={Path(program).parent}:$PATH" in dockerfile()
    assert f"\n{Path(program).name} = " in (ROOT / "pyproject.toml").read_text()
    assert "secretKeyRef" in environment["MONGODB_URI"]["valueFrom"]
    assert {name for name in environment if not name.startswith("RAY_")} == {
        name.upper() for name in ours
    }


def test_no_container_runs_as_root_or_without_limits(pods: list[dict[str, Any]]) -> None:
    user = numeric_user()
    for pod in pods:
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == user
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"].keys() == {"cpu", "memory"}


def test_pods_are_selected_by_labels_that_they_have(rayservice: dict[str, Any]) -> None:
    policy, budget = (
        yaml.safe_load((ROOT / "kuberay" / name).read_text())
        for name in ("networkpolicy.yaml", "poddisruptionbudget.yaml")
    )
    cluster = rayservice["spec"]["rayClusterConfig"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    labels = {"ray.io/node-type": "worker"} | groups[0]["template"]["metadata"]["labels"]

    assert all(
        group["template"]["metadata"]["labels"] == groups[0]["template"]["metadata"]["labels"]
        for group in groups
    )
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert budget["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_one_port_goes_from_the_settings_to_the_service(
    rayservice: dict[str, Any], pods: list[dict[str, Any]]
) -> None:
    serve_config = yaml.safe_load(SERVE_CONFIG.read_text())
    (service_port,) = rayservice["spec"]["serveService"]["spec"]["ports"]
    policy = yaml.safe_load((ROOT / "kuberay/networkpolicy.yaml").read_text())
    allowed = {port["port"] for rule in policy["spec"]["ingress"] for port in rule.get("ports", ())}
    port = serve_config["http_options"]["port"]

    assert port == Settings.model_fields["port"].default == service_port["port"]
    assert all(
        {"name": "serve", "containerPort": port} in pod["containers"][0]["ports"] for pod in pods
    )
    assert port in allowed
    assert f"EXPOSE {port}" in dockerfile()


def test_the_kustomization_names_every_manifest() -> None:
    kustomization = yaml.safe_load((ROOT / "kuberay/kustomization.yaml").read_text())
    manifests = {path.name for path in (ROOT / "kuberay").glob("*.yaml")}

    assert set(kustomization["resources"]) == manifests - {"kustomization.yaml"}


def test_everything_that_the_image_copies_is_there_and_sent_to_the_builder() -> None:
    sent = (ROOT / ".dockerignore").read_text().splitlines()
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile(), re.MULTILINE)
        for source in line.split()[:-1]
    ]

    assert {"pyproject.toml", "uv.lock", "serve_config.yaml", "serve_app"} <= set(copied)
    assert all((ROOT / source).exists() for source in copied)
    assert {f"!{source}" for source in copied} <= set(sent)


def test_the_image_starts_the_service_for_everybody_and_not_as_root() -> None:
    command = re.findall(r"^CMD (.+)$", dockerfile(), re.MULTILINE)[-1]
    program, *_ = json.loads(command)
    installed = (ROOT / "pyproject.toml").read_text()

    assert f"\n{program} = " in installed.partition("[project.scripts]")[2]
    assert numeric_user() > 0
    assert "HOST=0.0.0.0" in dockerfile()
    assert "/health/live" in re.sub(r"\\\n", "", dockerfile()).partition("HEALTHCHECK")[2]


def test_the_image_has_the_installer_of_the_makefile_and_no_embedded_database() -> None:
    (wanted,) = re.findall(r"^UV_VERSION := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert f"ARG UV_VERSION={wanted}\n" in dockerfile()
    assert set(re.findall(r"^ARG EXTRAS=(.*)$", dockerfile(), re.MULTILINE)) == {'""'}


def dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text()


def numeric_user() -> int:
    """The user that the last stage of the image runs as."""
    user = re.findall(r"^USER (\d+):\d+$", dockerfile(), re.MULTILINE)[-1]
    return int(user)
