"""Components of the manifests: kinds of other controllers, and how they fit the service."""

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from cloudcoil.models.prometheus_operator.v1 import PodMonitor, PrometheusRule
from pydantic import ValidationError

ROOT = Path(__file__).parents[2]
KUBERAY = ROOT / "kuberay"
KUBECTL = Path(sys.executable).with_name("kubectl")
MONITORING = {"PodMonitor": PodMonitor, "PrometheusRule": PrometheusRule}
DIGEST = "sha256:" + "0" * 64
# Fields of the Gateway API that the manifests use, copied from its reference, because no package
# has a schema that refuses others.
FIELDS = {
    "Gateway": {
        *("gatewayClassName", "listeners", "name", "protocol", "port", "hostname"),
        *("tls", "mode", "certificateRefs"),
    },
    "HTTPRoute": {
        *("parentRefs", "name", "hostnames", "rules", "backendRefs", "port"),
        *("timeouts", "request"),
    },
}


@cache
def production() -> list[dict[str, Any]]:
    return render(KUBERAY / "overlays/production")


def render(directory: Path) -> list[dict[str, Any]]:
    command = [KUBECTL, "kustomize", directory]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return list(yaml.safe_load_all(result.stdout))


def of_kind(kind: str) -> dict[str, Any]:
    (match,) = (document for document in production() if document["kind"] == kind)
    return match


def is_known(document: dict[str, Any]) -> bool:
    """Report whether Prometheus' operator knows every field of the document, and misses none."""
    try:
        model = MONITORING[document["kind"]].model_validate(document)
    except ValidationError:
        return False
    model_document = model.model_dump(by_alias=True, exclude_unset=True, mode="json")
    return model_document["spec"] == document["spec"]


@pytest.mark.parametrize("kind", MONITORING)
def test_the_operator_of_prometheus_knows_every_field(kind: str) -> None:
    assert is_known(of_kind(kind))


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [("PodMonitor", "interval", "every"), ("PrometheusRule", "expr", "expression")],
)
def test_a_misspelt_field_for_the_operator_is_told(kind: str, right: str, wrong: str) -> None:
    document = yaml.safe_load(yaml.safe_dump(of_kind(kind)).replace(f"{right}:", f"{wrong}:"))

    assert not is_known(document)


def test_the_route_leads_from_the_gateway_to_the_service_of_the_workers() -> None:
    gateway, route = of_kind("Gateway"), of_kind("HTTPRoute")
    service = of_kind("RayService")["spec"]["serveService"]
    (listener,) = gateway["spec"]["listeners"]
    (rule,) = route["spec"]["rules"]
    (port,) = service["spec"]["ports"]

    assert route["spec"]["parentRefs"] == [{"name": gateway["metadata"]["name"]}]
    assert route["spec"]["hostnames"] == [listener["hostname"]]
    assert rule["backendRefs"] == [{"name": service["metadata"]["name"], "port": port["port"]}]


@pytest.mark.parametrize("kind", FIELDS)
def test_the_gateway_and_its_route_have_the_fields_of_version_1(kind: str) -> None:
    document = of_kind(kind)

    assert document["apiVersion"] == "gateway.networking.k8s.io/v1"
    assert unknown_fields(document["spec"], FIELDS[kind]) == []


@pytest.mark.parametrize("kind", FIELDS)
def test_a_misspelt_field_of_them_is_told(kind: str) -> None:
    text = yaml.safe_dump(of_kind(kind)["spec"]).replace("hostname", "host")

    assert unknown_fields(yaml.safe_load(text), FIELDS[kind])


def unknown_fields(value: Any, known_fields: set[str]) -> list[str]:
    """List the fields at any depth that are not among the known ones."""
    match value:
        case dict():
            fields = cast("dict[str, Any]", value)
            return [field for field in fields if field not in known_fields] + unknown_fields(
                list(fields.values()), known_fields
            )
        case list():
            elements = cast("list[Any]", value)
            return [
                field for element in elements for field in unknown_fields(element, known_fields)
            ]
        case _:
            return []


def test_an_upgrade_in_steps_adds_no_more_workers_than_a_step_needs(tmp_path: Path) -> None:
    steps = Path(*[".."] * len(tmp_path.parts[1:]))
    base, component = (
        str(steps / (KUBERAY / directory).relative_to("/"))
        for directory in ("base", "components/incremental-upgrade")
    )
    (tmp_path / "kustomization.yaml").write_text(
        yaml.safe_dump({"resources": [base], "components": [component]})
    )
    (rayservice,) = (document for document in render(tmp_path) if document["kind"] == "RayService")
    strategy = rayservice["spec"]["upgradeStrategy"]
    options = strategy["clusterUpgradeOptions"]

    assert strategy["type"] == "NewClusterWithIncrementalUpgrade"
    assert options.keys() == {
        *("gatewayClassName", "stepSizePercent", "intervalSeconds", "maxSurgePercent")
    }
    assert 0 < options["stepSizePercent"] <= options["maxSurgePercent"] <= 100
    assert options["gatewayClassName"] == of_kind("Gateway")["spec"]["gatewayClassName"]


def test_the_gateway_speaks_tls_alone_with_the_certificate_of_the_readme() -> None:
    (listener,) = of_kind("Gateway")["spec"]["listeners"]
    (secret,) = listener["tls"]["certificateRefs"]

    assert (listener["protocol"], listener["port"]) == ("HTTPS", 443)
    assert listener["tls"]["mode"] == "Terminate"
    assert f"create secret tls {secret['name']} " in (KUBERAY / "README.md").read_text()


def test_the_gateway_waits_longer_than_the_service_for_an_answer() -> None:
    serve_config = yaml.safe_load(of_kind("RayService")["spec"]["serveConfigV2"])
    (rule,) = of_kind("HTTPRoute")["spec"]["rules"]
    waits = int(rule["timeouts"]["request"].removesuffix("s"))

    assert waits > serve_config["http_options"]["request_timeout_s"]


def test_production_keeps_the_state_of_its_head_in_a_redis_of_its_own() -> None:
    cluster = of_kind("RayService")["spec"]["rayClusterConfig"]
    options = cluster["gcsFaultToleranceOptions"]
    host, _, port = options["redisAddress"].partition(":")
    policies = [document for document in production() if document["kind"] == "NetworkPolicy"]
    (policy,) = (policy for policy in policies if policy["metadata"]["name"] == host)
    ((rule,),) = (policy["spec"]["ingress"],)
    labels = cluster["headGroupSpec"]["template"]["metadata"]["labels"]

    assert options["redisPassword"]["valueFrom"]["secretKeyRef"] == {
        "name": host,
        "key": "password",
    }
    assert policy["spec"]["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": host}
    assert rule["from"] == [{"podSelector": {"matchLabels": labels}}]
    assert rule["ports"] == [{"protocol": "TCP", "port": int(port)}]
    assert f"create secret generic {host} " in (KUBERAY / "README.md").read_text()


def test_the_largest_cluster_has_room_for_the_replicas_that_autoscaling_may_want() -> None:
    spec = of_kind("RayService")["spec"]
    (group,) = spec["rayClusterConfig"]["workerGroupSpecs"]
    (container,) = group["template"]["spec"]["containers"]
    (application,) = yaml.safe_load(spec["serveConfigV2"])["applications"]
    cpus = 0.0
    for deployment in application["deployments"]:
        scaling = deployment.get("autoscaling_config", {})
        replicas = scaling.get("max_replicas", deployment.get("num_replicas"))
        cpus += replicas * deployment["ray_actor_options"]["num_cpus"]
        if deployment["name"] == "Optimizer":
            assert replicas == 2 * group["maxReplicas"]
    resources = container["resources"]

    assert resources["requests"]["cpu"] == resources["limits"]["cpu"]
    assert cpus < 0.1 * group["maxReplicas"] * int(resources["limits"]["cpu"])


def test_a_worker_is_behind_the_service_while_its_proxy_has_an_ingress_and_is_drained() -> None:
    spec = of_kind("RayService")["spec"]
    (group,) = spec["rayClusterConfig"]["workerGroupSpecs"]
    pod = group["template"]["spec"]
    (container,) = pod["containers"]
    probe = container["readinessProbe"]

    assert spec["excludeHeadPodFromServeSvc"]
    assert probe["httpGet"] == {"path": "/-/healthz", "port": "serve"}
    _, seconds = container["lifecycle"]["preStop"]["exec"]["command"]
    # Until the endpoint is gone everywhere, the proxy goes on; then replicas end their requests.
    assert int(seconds) >= probe["periodSeconds"] * probe["failureThreshold"]
    assert pod["terminationGracePeriodSeconds"] >= int(seconds) + 60


def test_an_image_by_its_digest_reaches_every_container_of_the_service(tmp_path: Path) -> None:
    steps = Path(*[".."] * len(tmp_path.parts[1:]))
    base = steps / (KUBERAY / "overlays/production").relative_to("/")
    image = {"name": "order-generation-service", "newName": "r.example.com/s", "digest": DIGEST}
    (tmp_path / "kustomization.yaml").write_text(
        yaml.safe_dump({"resources": [str(base)], "images": [image]})
    )
    text = yaml.safe_dump(
        next(document for document in render(tmp_path) if document["kind"] == "RayService")
    )

    assert text.count(f"image: r.example.com/s@{DIGEST}") == text.count("image:") == 2
