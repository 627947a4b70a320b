"""The base of all components."""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

import pulumi

from strata.errors import Problem
from strata.model import Endpoint, Workload
from strata.stack import Stack


class WorkloadComponent(pulumi.ComponentResource):
    """A component that consists of one or more workloads.

    `workload` is the one that clients link to. `Stack.deploy` checks the stack and then creates the
    resources of all workloads as children of this component. `name` is the component's, where no
    workload has it.
    """

    workload: Workload

    def __init__(
        self,
        type_name: str,
        workloads: Sequence[Workload],
        stack: Stack,
        problems: Iterable[Problem],
        opts: pulumi.ResourceOptions | None,
        name: str | None = None,
    ) -> None:
        main = workloads[0]
        # Before the resource is registered, so that the stack reports a duplicate name, not the engine.
        stack.add(workloads, self, problems, main.name)
        super().__init__(
            f"strata:components:{type_name}",
            name or main.name,
            {
                "image": str(main.image),
                "zone": str(main.zone),
                "replicas": main.replicas,
                "schedule": main.schedule,
            },
            opts,
        )
        self.workload = main
        self.register_outputs({"name": main.name})

    def endpoint(self, port: str = "http") -> Endpoint:
        """The endpoint of a port, for a client to link to."""
        return self.workload.endpoint(port)


def shared_fields(args: object, fields_of: type) -> dict[str, Any]:
    """The fields that the arguments of a component share with its workload."""
    return {each.name: getattr(args, each.name) for each in fields(fields_of)}
