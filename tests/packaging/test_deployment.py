import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from serve_app.app import DEPLOYMENTS
from serve_app.launch.ray_environment import FAST
from serve_app.local.config_check import check_serve_config
from serve_app.settings import Settings, SettingsError, read_settings

ROOT = Path(__file__).parents[2]
SERVE_CONFIG = ROOT / "serve_config.yaml"
KUBERAY = ROOT / "kuberay"
CLUSTER_CONFIG = KUBERAY / "base/serve_config.yaml"
PROTECTION = {"AUTH", "INSECURE_OFF_LOOPBACK"}
KUBECTL = Path(sys.executable).with_name("kubectl")
KUBERNETES = "1.37"
OVERLAYS = ("base", "overlays/dev", "overlays/globeco", "overlays/staging", "overlays/production")
COMPONENTS = ("gateway", "incremental-upgrade", "monitoring", "redis")
# Kinds of other controllers, whose schemas no package has.
UNKNOWN = {"Gateway", "HTTPRoute", "PodMonitor", "PrometheusRule"}
# The schema of KubeRay lies beside the checkout if at all, because it is not ours to copy.
RAYSERVICE_SCHEMA = ROOT.parent / "shared/data/rayservice-v1.schema.json"


def render(directory: Path) -> list[dict[str, Any]]:
    """Render a kustomization as `kubectl apply --kustomize` does."""
    result = subprocess.run(
        [KUBECTL, "kustomize", str(directory)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return list(yaml.safe_load_all(result.stdout))


@cache
def overlay(name: str) -> list[dict[str, Any]]:
    return render(KUBERAY / name)


def of_kind(documents: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (match,) = (document for document in documents if document["kind"] == kind)
    return match


@pytest.fixture(scope="module", params=OVERLAYS)
def manifests(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    return overlay(request.param)


@pytest.fixture
def rayservice(manifests: list[dict[str, Any]]) -> dict[str, Any]:
    return of_kind(manifests, "RayService")


@pytest.fixture
def pods(rayservice: dict[str, Any]) -> list[dict[str, Any]]:
    """The specifications of the head's and every worker group's pods."""
    cluster = rayservice["spec"]["rayClusterConfig"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [group["template"]["spec"] for group in groups]


@pytest.mark.parametrize("path", [SERVE_CONFIG, CLUSTER_CONFIG], ids=["machine", "cluster"])
def test_a_shipped_serve_configuration_has_no_key_that_serve_would_ignore(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTH", "keys")  # which the manifests set beside it
    check_serve_config(path, DEPLOYMENTS)


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
    assert faults_of(rayservice) == []


def faults_of(rayservice: dict[str, Any]) -> list[str]:
    """List the faults that KubeRay's own schema finds, if the schema is there."""
    if not RAYSERVICE_SCHEMA.exists():
        return []
    schema = json.loads(RAYSERVICE_SCHEMA.read_text())
    faults = jsonschema.Draft202012Validator(schema).iter_errors(rayservice)
    return [f"{list(fault.absolute_path)}: {fault.message}" for fault in faults]


def test_kubernetes_knows_every_field_of_its_own_kinds(manifests: list[dict[str, Any]]) -> None:
    own = [document for document in manifests if document["kind"] not in {"RayService", *UNKNOWN}]

    assert len(own) >= 4
    for document in own:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_a_misspelt_field_of_a_manifest_is_refused() -> None:
    policy = of_kind(overlay("base"), "NetworkPolicy")
    policy = {**policy, "spec": {**policy["spec"], "podSelectors": {}}}

    with pytest.raises(kubernetes_validate.ValidationError, match="podSelectors"):
        kubernetes_validate.validate(policy, KUBERNETES, strict=True)


@pytest.mark.parametrize("component", COMPONENTS)
def test_each_component_can_be_added_to_the_base(component: str, tmp_path: Path) -> None:
    steps = Path(*[".."] * len(tmp_path.parts[1:]))
    paths = [
        steps / (KUBERAY / directory).relative_to("/")
        for directory in ("base", f"components/{component}")
    ]
    content = {"resources": [str(paths[0])], "components": [str(paths[1])]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(content))

    rendered = render(tmp_path)

    assert rendered != overlay("base")
    assert faults_of(of_kind(rendered, "RayService")) == []


def test_every_directory_of_manifests_is_rendered_by_a_test() -> None:
    directories = {
        str(path.parent.relative_to(KUBERAY)) for path in KUBERAY.rglob("kustomization.yaml")
    }

    assert directories == {*OVERLAYS, *(f"components/{name}" for name in COMPONENTS)}


def test_a_cluster_has_the_serve_configuration_of_a_machine_but_for_host_and_replicas(
    rayservice: dict[str, Any],
) -> None:
    carried = yaml.safe_load(rayservice["spec"]["serveConfigV2"])
    own = yaml.safe_load(SERVE_CONFIG.read_text())
    assert carried == yaml.safe_load(CLUSTER_CONFIG.read_text())

    for content, host in ((own, "127.0.0.1"), (carried, "0.0.0.0")):
        assert content["http_options"].pop("host") == host
        for deployment in content["applications"][0]["deployments"]:
            deployment.pop("num_replicas", None)
            deployment.pop("max_replicas_per_node", None)
            for bound in ("min_replicas", "max_replicas"):
                deployment.get("autoscaling_config", {}).pop(bound, None)
    assert carried == own


def test_the_loss_of_one_node_leaves_a_replica_of_every_deployment(
    rayservice: dict[str, Any],
) -> None:
    carried = yaml.safe_load(rayservice["spec"]["serveConfigV2"])
    replicas = {
        deployment["name"]: deployment for deployment in carried["applications"][0]["deployments"]
    }
    (workers,) = rayservice["spec"]["rayClusterConfig"]["workerGroupSpecs"]

    for name in ("Ingress", "ModelStore"):
        spread = replicas[name]["num_replicas"], replicas[name]["max_replicas_per_node"]
        assert spread == (2, 1), name
    assert replicas["Optimizer"]["autoscaling_config"]["min_replicas"] == 2
    assert workers["minReplicas"] >= 2


def require_secret_file(pods: list[dict[str, Any]], path: str) -> None:
    """Require that every pod reads this file from a secret that it cannot change."""
    for pod in pods:
        mounts = {mount["mountPath"]: mount for mount in pod["containers"][0]["volumeMounts"]}
        mount = mounts[str(Path(path).parent)]
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        assert mount["readOnly"]
        assert "secretName" in volumes[mount["name"]]["secret"]


def test_head_and_workers_have_one_image_and_one_environment(pods: list[dict[str, Any]]) -> None:
    containers = [pod["containers"][0] for pod in pods]
    environment = {entry["name"]: entry for entry in containers[0]["env"]}
    ours = {name.lower() for name in environment} & set(Settings.names())

    assert all(container["env"] == containers[0]["env"] for container in containers)
    assert len({container["image"] for container in containers}) == 1
    of_serve = {
        name: variable["value"]
        for name, variable in environment.items()
        if name[:10] == "RAY_SERVE_"
    }
    program = of_serve.pop("RAY_SERVE_HAPROXY_BINARY_PATH")
    assert of_serve == {name: FAST[name] for name in of_serve}
    assert of_serve.keys() >= {"RAY_SERVE_ENABLE_HA_PROXY", "RAY_SERVE_THROUGHPUT_OPTIMIZED"}
    assert "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH" in of_serve
    assert "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S" in of_serve
    assert f"PATH={Path(program).parent}:$PATH" in dockerfile()
    assert f"\n{Path(program).name} = " in (ROOT / "pyproject.toml").read_text()
    assert "MONGODB_URI" not in environment
    require_secret_file(pods, environment["MONGODB_URI_FILE"]["value"])
    assert {name for name in environment if not name.startswith("RAY_")} == {
        "HOME",
        *(name.upper() for name in ours),
    }


def test_callers_need_a_key_except_with_the_overlays_that_say_so() -> None:
    for name in OVERLAYS:
        rayservice = of_kind(overlay(name), "RayService")
        head = rayservice["spec"]["rayClusterConfig"]["headGroupSpec"]["template"]["spec"]
        environment = {
            variable["name"]: variable.get("value") for variable in head["containers"][0]["env"]
        }
        is_open = name in {"overlays/dev", "overlays/globeco"}
        protection = environment["AUTH"], environment.get("INSECURE_OFF_LOOPBACK")
        assert protection == (("none", "yes") if is_open else ("keys", None)), name
        host = yaml.safe_load(rayservice["spec"]["serveConfigV2"])["http_options"]["host"]
        args = {name.lower(): value for name, value in environment.items() if name in PROTECTION}
        read_settings(args).require_protection(host)


def test_no_container_runs_as_root_or_without_limits(pods: list[dict[str, Any]]) -> None:
    user = numeric_user()
    for pod in pods:
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == user
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"].keys() == {"cpu", "memory", "ephemeral-storage"}
        writable = [mount for mount in container["volumeMounts"] if not mount.get("readOnly")]
        assert [mount["mountPath"] for mount in writable] == ["/tmp"]
        assert {"name": "HOME", "value": "/tmp"} in container["env"]


def test_pods_are_selected_by_labels_that_they_have(
    manifests: list[dict[str, Any]], rayservice: dict[str, Any]
) -> None:
    policies = {
        document["metadata"]["name"]: document
        for document in manifests
        if document["kind"] == "NetworkPolicy"
    }
    budget = of_kind(manifests, "PodDisruptionBudget")
    cluster = rayservice["spec"]["rayClusterConfig"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    labels = {"ray.io/node-type": "worker"} | groups[0]["template"]["metadata"]["labels"]

    assert all(
        group["template"]["metadata"]["labels"] == groups[0]["template"]["metadata"]["labels"]
        for group in groups
    )
    policy = policies["order-generation"]
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert budget["spec"]["selector"]["matchLabels"].items() <= labels.items()
    # A policy for another server lets the pods of the service in, and nobody else.
    for name in policies.keys() - {"order-generation"}:
        (rule,) = policies[name]["spec"]["ingress"]
        (source,) = rule["from"]
        assert source["podSelector"]["matchLabels"].items() <= labels.items(), name


def test_every_pod_has_an_account_that_exists_and_only_the_head_a_token(
    manifests: list[dict[str, Any]], pods: list[dict[str, Any]]
) -> None:
    accounts = {
        document["metadata"]["name"]: document.get("automountServiceAccountToken", True)
        for document in manifests
        if document["kind"] == "ServiceAccount"
    }

    assert [accounts[pod["serviceAccountName"]] for pod in pods] == [True, False]


def test_one_port_goes_from_the_settings_to_the_service(
    manifests: list[dict[str, Any]], rayservice: dict[str, Any], pods: list[dict[str, Any]]
) -> None:
    serve_config = yaml.safe_load(SERVE_CONFIG.read_text())
    (service_port,) = rayservice["spec"]["serveService"]["spec"]["ports"]
    policies = [document for document in manifests if document["kind"] == "NetworkPolicy"]
    policy = next(policy for policy in policies if policy["metadata"]["name"] == "order-generation")
    allowed = {port["port"] for rule in policy["spec"]["ingress"] for port in rule.get("ports", ())}
    port = serve_config["http_options"]["port"]

    assert port == Settings.model_fields["port"].default == service_port["port"]
    assert all(
        {"name": "serve", "containerPort": port} in pod["containers"][0]["ports"] for pod in pods
    )
    assert port in allowed
    assert f"EXPOSE {port}" in dockerfile()


def test_prometheus_reads_ports_that_every_pod_names_and_that_the_policy_opens(
    pods: list[dict[str, Any]],
) -> None:
    production = overlay("overlays/production")
    monitor = of_kind(production, "PodMonitor")
    names = {endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]}
    policy = next(
        document
        for document in production
        if document["metadata"]["name"] == "order-generation"
        and document["kind"] == "NetworkPolicy"
    )
    opened = {port["port"] for port in policy["spec"]["ingress"][-1]["ports"]}

    for pod in pods:
        ports = {port["name"]: port["containerPort"] for port in pod["containers"][0]["ports"]}
        assert {ports[name] for name in names} == opened


def test_grafana_gets_every_dashboard_of_the_directory() -> None:
    maps = [
        document for document in overlay("overlays/production") if document["kind"] == "ConfigMap"
    ]
    (dashboards,) = (
        document for document in maps if "grafana_dashboard" in document["metadata"]["labels"]
    )
    directory = KUBERAY / "components/monitoring/dashboards"

    assert dashboards["data"] == {path.name: path.read_text() for path in directory.iterdir()}


def test_each_kustomization_names_every_manifest_beside_it() -> None:
    for path in KUBERAY.rglob("kustomization.yaml"):
        content = yaml.safe_load(path.read_text())
        beside = {file.name for file in path.parent.glob("*.yaml")}
        resources = {
            resource for resource in content.get("resources", ()) if not resource.startswith("..")
        }

        assert resources == beside - {"kustomization.yaml", "serve_config.yaml"}, path


def test_everything_that_the_image_copies_is_there_and_sent_to_the_builder() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile(), re.MULTILINE)
        for source in line.split()[:-1]
    ]

    assert {"pyproject.toml", "uv.lock", "serve_config.yaml", "serve_app"} <= set(copied)
    assert all((ROOT / source).exists() for source in copied)
    assert {f"!{source}" for source in copied} <= set(lines)


def test_the_image_starts_the_service_for_everybody_and_not_as_root() -> None:
    command = re.findall(r"^CMD (.+)$", dockerfile(), re.MULTILINE)[-1]
    program, *_ = json.loads(command)
    installed = (ROOT / "pyproject.toml").read_text()

    assert f"\n{program} = " in installed.partition("[project.scripts]")[2]
    assert numeric_user() > 0
    assert "HOST=0.0.0.0" in dockerfile()
    assert "/health/live" in re.sub(r"\\\n", "", dockerfile()).partition("HEALTHCHECK")[2]


def test_the_image_has_the_installer_of_the_makefile_and_no_embedded_database() -> None:
    (version,) = re.findall(r"^UV_VERSION := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert f"ARG UV_VERSION={version}\n" in dockerfile()
    assert set(re.findall(r"^ARG EXTRAS=(.*)$", dockerfile(), re.MULTILINE)) == {'""'}


def dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text()


def numeric_user() -> int:
    """The user that the last stage of the image runs as."""
    user = re.findall(r"^USER (\d+):\d+$", dockerfile(), re.MULTILINE)[-1]
    return int(user)
