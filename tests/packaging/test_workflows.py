"""Workflows: every job, output, secret, variable and file that they name exists."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from container.build import IMAGE

ROOT = Path(__file__).parents[2]
WORKFLOWS = {path.name: path.read_text() for path in (ROOT / ".github/workflows").glob("*.yml")}
# What the settings of the repository have, and what GitHub makes.
SECRETS = {"KUBECONFIG", "GITHUB_TOKEN"}
GIVEN = {"GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_ACTOR", "GITHUB_REPOSITORY", "RUNNER_TEMP"}
TARGETS = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.fixture(params=sorted(WORKFLOWS))
def workflow(request: pytest.FixtureRequest) -> dict[str, Any]:
    return yaml.safe_load(WORKFLOWS[request.param])


def faults_of(workflow: dict[str, Any]) -> list[str]:
    """List the names of a workflow that nothing defines."""
    return [
        f"{name}: {fault}"
        for name, job in workflow["jobs"].items()
        for fault in (
            *_missing_outputs(job, workflow["jobs"]),
            *_missing_variables(job, workflow.get("env", {})),
            *_missing_files(job),
        )
    ]


def _missing_outputs(job: dict[str, Any], jobs: dict[str, Any]) -> Iterator[str]:
    text, needs, steps = yaml.safe_dump(job), job.get("needs", []), job["steps"]
    for reference in set(re.findall(r"needs\.(\w+)\.outputs\.(\w+)", text)):
        before, output = reference
        if before not in needs or output not in jobs[before].get("outputs", {}):
            yield f"needs no output {output} of {before}"
    writers = {step["id"]: step.get("run", "") for step in steps if "id" in step}
    for step, output in set(re.findall(r"steps\.(\w+)\.outputs\.(\w+)", text)):
        if f'echo "{output}=' not in writers.get(step, ""):
            yield f"no step {step} writes {output}"
    yield from (f"no job {job_id}" for job_id in needs if job_id not in jobs)
    secrets = set(re.findall(r"secrets\.(\w+)", text))
    yield from (f"no secret {secret}" for secret in sorted(secrets - SECRETS))


def _missing_variables(job: dict[str, Any], variables: dict[str, str]) -> Iterator[str]:
    steps = [step for step in job["steps"] if "run" in step]
    for step in steps:
        known_names = (
            GIVEN | variables.keys() | job.get("env", {}).keys() | step.get("env", {}).keys()
        )
        names = set(re.findall(r"\$\{?([A-Z_]+)", step["run"]))
        yield from (f"no variable {variable}" for variable in sorted(names - known_names))
    yield from (
        f"no variable {variable}"
        for variable in set(re.findall(r"\$\{\{ env\.(\w+)", yaml.safe_dump(job)))
        - variables.keys()
    )


def _missing_files(job: dict[str, Any]) -> Iterator[str]:
    script = "\n".join(step.get("run", "") for step in job["steps"])
    for target in re.findall(r"^make ([\w-]+)", script, re.MULTILINE):
        if target not in TARGETS:
            yield f"no make {target}"
    for path in re.findall(r"(?<=\s)(\.github/\w+(?:\.py)?|\.ci/\w+)", f" {script}"):
        if not (ROOT / path).exists():
            yield f"no file {path}"


def test_a_workflow_names_nothing_that_is_missing(workflow: dict[str, Any]) -> None:
    assert faults_of(workflow) == []


@pytest.mark.parametrize(
    ("right", "wrong", "fault"),
    [
        ("needs.image.outputs.digest", "needs.image.outputs.sum", "needs no output sum"),
        ("needs: [test, wheel, image]", "needs: [test, wheel]", "needs no output digest of image"),
        ("id: push\n", "id: pushed\n", "no step push writes digest"),
        ('echo "version=', 'echo "versions=', "no step notes writes version"),
        ("secrets.GITHUB_TOKEN", "secrets.GITHUB_TOKN", "no secret GITHUB_TOKN"),
        ("\n  IMAGE: ", "\n  IMAGES: ", "no variable IMAGE"),
        ("make test-image", "make test-images", "no make test-images"),
        ("python .github/release_notes.py", "python .github/notes.py", "no file .github/notes.py"),
    ],
)
def test_a_slip_in_the_release_is_told(right: str, wrong: str, fault: str) -> None:
    assert right in WORKFLOWS["release.yml"]
    slipped = yaml.safe_load(WORKFLOWS["release.yml"].replace(right, wrong, 1))

    assert any(fault in message for message in faults_of(slipped))


def test_the_image_that_is_built_is_scanned_released_and_deployed() -> None:
    release, deploy = (yaml.safe_load(WORKFLOWS[f"{name}.yml"]) for name in ("release", "deploy"))
    (scan,) = (
        step["with"]["image"]
        for step in release["jobs"]["image"]["steps"]
        if "scan-action" in step.get("uses", "")
    )

    assert scan == IMAGE + ":${{ needs.test.outputs.version }}"
    assert release["env"]["IMAGE"].rpartition("/")[2] == IMAGE
    assert deploy["env"]["IMAGE"] == release["env"]["IMAGE"]
    assert deploy["jobs"]["deploy"]["steps"][-1]["run"].endswith('"$ENVIRONMENT" "$IMAGE@$DIGEST"')
