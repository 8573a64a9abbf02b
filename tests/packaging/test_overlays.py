"""Overlays: their changes to the base, and the names outside the base that they use."""

import re
import tomllib
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml

from tests.packaging.test_deployment import KUBERAY, OVERLAYS, ROOT, of_kind, overlay

README = (KUBERAY / "README.md").read_text()
MULTIPLES = {"m": 0.001, "": 1.0, "Mi": 2.0**20, "Gi": 2.0**30}
PACKAGE = Path(ray.__file__).parent
# Where Ray says by which variables it is set.
READERS = ("_raylet.so", "serve/_private/constants.py", "_common/usage/usage_constants.py")


def groups_of(name: str) -> list[dict[str, Any]]:
    """List the groups of an overlay's nodes, the head's first."""
    cluster = of_kind(overlay(name), "RayService")["spec"]["rayClusterConfig"]
    return [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]


def pods_of(name: str) -> list[dict[str, Any]]:
    return [group["template"]["spec"] for group in groups_of(name)]


def amount(quantity: str) -> float:
    ((number, unit),) = re.findall(r"^(\d+)(m|Mi|Gi|)$", quantity)
    return int(number) * MULTIPLES[unit]


def test_staging_is_production_with_other_workers() -> None:
    staging, production = (
        deepcopy(overlay(f"overlays/{name}")) for name in ("staging", "production")
    )
    for documents in (staging, production):
        cluster = of_kind(documents, "RayService")["spec"]["rayClusterConfig"]
        (workers,) = cluster["workerGroupSpecs"]
        for field in ("minReplicas", "replicas", "maxReplicas"):
            del workers[field]
        del workers["template"]["spec"]["containers"][0]["resources"]

    assert staging == production
    assert {document["kind"] for document in production} >= {
        "Gateway",
        "HTTPRoute",
        "PrometheusRule",
    }


@pytest.mark.parametrize("name", OVERLAYS)
def test_a_container_asks_for_no_more_than_its_limits(name: str) -> None:
    for pod in pods_of(name):
        resources = pod["containers"][0]["resources"]
        requests, limits = resources["requests"], resources["limits"]

        assert requests.keys() == limits.keys()
        assert all(amount(requests[resource]) <= amount(limits[resource]) for resource in limits)
        assert requests["memory"] == limits["memory"]  # because Ray plans with the limit


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_secret_is_in_the_overlay_or_made_by_the_readme(name: str) -> None:
    pairs = {
        (document["metadata"]["name"], key)
        for document in overlay(name)
        if document["kind"] == "Secret"
        for key in (document.get("data") or document["stringData"])
    }
    commands = README.replace("\\\n", "").splitlines()
    pairs |= {
        pair
        for line in commands
        for pair in re.findall(r"create secret generic (\S+) +--from-literal=(\w+)=", line)
    }

    cluster = of_kind(overlay(name), "RayService")["spec"]["rayClusterConfig"]
    redis = cluster.get("gcsFaultToleranceOptions", {}).get("redisPassword")
    references = set[tuple[str, str]]()
    if redis is not None:
        references.add(
            tuple(redis["valueFrom"]["secretKeyRef"][field] for field in ("name", "key"))
        )
    for pod in pods_of(name):
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        (container,) = pod["containers"]
        directories = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        for variable in container["env"]:
            if variable["name"].endswith("_FILE"):
                path = Path(variable["value"])
                secret = volumes[directories[str(path.parent)]]["secret"]
                references.add((secret["secretName"], path.name))
    assert references
    assert references <= pairs


@pytest.mark.parametrize("name", OVERLAYS)
def test_ray_reads_every_variable_that_is_meant_for_it(name: str) -> None:
    texts = [(PACKAGE / path).read_bytes() for path in READERS]
    variables = {
        variable["name"]
        for pod in pods_of(name)
        for variable in pod["containers"][0]["env"]
        if variable["name"].startswith("RAY_")
    }

    assert len(variables) > 5
    for variable in variables:
        # Settings of Ray's core, in small letters, stand in it without the prefix.
        name_in_ray = variable.removeprefix("RAY_") if variable[4:].islower() else variable
        assert any(name_in_ray.encode() in text for text in texts), variable


def test_the_tag_of_the_image_is_the_version_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (image,) = yaml.safe_load((KUBERAY / "base/kustomization.yaml").read_text())["images"]

    assert image["newTag"] == project["version"]
