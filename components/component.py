"""What all components share."""

from collections.abc import Iterable

import pulumi

from strata.model import Endpoint, Job, Problem, Service, raise_problems
from strata.model.composition import workload_problems
from strata.platforms.platform import Platform


class ServiceComponent(pulumi.ComponentResource):
    """A component that is one service: checked first, then handed to its platform.

    `service` is its plain data. The platform makes its resources, as children of this component,
    once the whole stack is known to be right (`Platform.deploy`).
    """

    service: Service

    def __init__(
        self,
        type_name: str,
        service: Service,
        platform: Platform,
        problems: Iterable[Problem],
        opts: pulumi.ResourceOptions | None,
    ) -> None:
        raise_problems([*problems, *workload_problems(service)])
        # Before the engine hears of it, so that a name that is taken is refused in our words.
        platform.add(service, self)
        super().__init__(
            f"strata:components:{type_name}",
            service.name,
            {"image": service.image, "zone": str(service.zone), "replicas": service.replicas},
            opts,
        )
        self.service = service
        self.register_outputs({"service": service.name})

    def endpoint(self, port: str = "http") -> Endpoint:
        """The endpoint of a port, for a client to link to. Raises KeyError for an unknown name."""
        return self.service.endpoint(port)


class JobComponent(pulumi.ComponentResource):
    """A component that is one job: checked first, then handed to its platform."""

    job: Job

    def __init__(
        self,
        type_name: str,
        job: Job,
        platform: Platform,
        problems: Iterable[Problem],
        opts: pulumi.ResourceOptions | None,
    ) -> None:
        raise_problems([*problems, *workload_problems(job)])
        platform.add(job, self)
        super().__init__(
            f"strata:components:{type_name}",
            job.name,
            {"image": job.image, "zone": str(job.zone), "schedule": job.schedule},
            opts,
        )
        self.job = job
        self.register_outputs({"job": job.name})
