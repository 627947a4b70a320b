"""The standard set of the observability stack, described without a cluster."""

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import pulumi

from strata.config import Settings
from strata.model import Service, Text
from strata.model.text import BucketName, Namespace, Region, StackName, parts
from strata.stack import Stack
from systems import reference
from tests import planned

FILLED_IN: Mapping[type, str] = {
    StackName: "test",
    Namespace: "strata-test",
    BucketName: "strata-test-bucket",
    Region: "eu-west-1",
}


def described(
    settings: Settings, compose: Callable[[Stack], None] = reference.compose
) -> dict[str, Service]:
    """The services of a stack by name, with those of its observability stack."""
    stacks: list[Stack] = []

    def program() -> Mapping[str, pulumi.Input[Any]]:
        stack = Stack(settings)
        stacks.append(stack)
        compose(stack)
        stack.complete()
        return {}

    planned.record(program)
    (stack,) = stacks
    assert not list(stack.composition.problems())
    return {service.name: service for service in stack.composition.services}


@cache
def reference_on(platform: str, *profiles: str) -> dict[str, Service]:
    """The services of the reference system on `kubernetes` or `eks`."""
    return described(
        Settings.model_validate(
            {
                "platform": platform,
                "profiles": list(profiles),
                "observability": {"receivers": {"webhookUrl": "https://alerts.example.com"}},
            }
        )
    )


def filled_in(text: Text) -> str:
    """A text in which the namespace is strata-test and the stack is test. Secrets are hidden."""
    return "".join(
        part if isinstance(part, str) else FILLED_IN.get(type(part), "secret")
        for part in parts(text)
    )


def files(service: Service) -> dict[str, str]:
    """The files of a service, by path."""
    return {file.path: filled_in(file.content) for file in service.files}


def file(service: Service, name: str) -> Any:
    """The JSON file of a service with this name."""
    (content,) = [text for path, text in files(service).items() if path.endswith(f"/{name}")]
    return json.loads(content)


def jobs(services: Mapping[str, Service]) -> dict[str, Any]:
    """The scrape jobs of Prometheus, by name."""
    configuration = file(services["prometheus"], "prometheus.json")
    return {job["job_name"]: job for job in configuration["scrape_configs"]}
