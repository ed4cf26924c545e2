"""A twin in this process, and stacks on it that are deleted again after each test."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from moto.moto_api._internal.models import moto_api_backend
from twin_stacks import PRIMARY, Deploy, Deployed, whole

from standby.twin.twin import Twin


@pytest.fixture(scope="module")
def twin() -> Twin:
    """Give a twin without bootstrap stacks, empty at the start of each test module."""
    moto_api_backend.reset()  # moto's state belongs to the process, not to the twin
    return Twin()


@pytest.fixture
def deploy(twin: Twin) -> Iterator[Deploy]:
    """Deploy templates: ``deploy({"Resource": {...}}, region)`` or a whole template.

    Each gives a `Deployed`, or raises `DeploymentFailed`. All are deleted after the test, the
    last first, and a deletion that fails, fails the test.
    """
    stacks: list[Deployed] = []

    def run(
        template: Mapping[str, Any], region: str = PRIMARY, name: str = "", **options: Any
    ) -> Deployed:
        stack = Deployed(twin, region, name or f"Stack{len(stacks) + 1}")
        stacks.append(stack)
        stack.run("create_stack", TemplateBody=json.dumps(whole(template)), **options)
        return stack

    yield run
    for stack in reversed(stacks):
        live = stack.client("cloudformation").list_stacks()["StackSummaries"]
        if any(
            s["StackName"] == stack.name and s["StackStatus"] != "DELETE_COMPLETE" for s in live
        ):
            stack.delete()
