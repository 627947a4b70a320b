"""The day-to-day commands on a stack in a cluster."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from strata.config import PlatformName, Settings
from strata.errors import ClusterError, InvalidStackError, Problem
from strata.ops.kubernetes.cluster import Cluster
from strata.ops.kubernetes.logs import ClusterLogs
from strata.ops.kubernetes.restart import restart
from strata.ops.kubernetes.shell import command_line
from strata.ops.kubernetes.status import status
from strata.ops.kubernetes.top import frames
from strata.ops.logs import Selection
from strata.ops.status import Status
from strata.ops.top import Usage
from strata.platforms.eks.aws.location import stack_location
from strata.platforms.kubernetes import api_client
from strata.platforms.kubernetes.names import StackNames

RIGHTS = "do that in the stack's namespaces"
CONNECTIONS = 1000


@dataclass(frozen=True)
class ClusterStack:
    """A `DeployedStack`. `domain`: its public name, if it has one."""

    cluster: Cluster
    domain: str | None

    def status(self) -> Status:
        return status(self.cluster, self.domain)

    def logs(self, selection: Selection) -> ClusterLogs:
        return ClusterLogs(cluster=self.cluster, selection=selection)

    def usages(self, services: Sequence[str]) -> Iterator[list[Usage]]:
        return frames(self.cluster, services)

    def check_services(self, services: Sequence[str]) -> None:
        self.cluster.check_services(services)

    def restart(self, services: Sequence[str]) -> int:
        return restart(self.cluster, services)

    def command_line(self, name: str, command: Sequence[str], *, terminal: bool) -> list[str]:
        return command_line(self.cluster, name, command, terminal=terminal)


@contextmanager
def open_stack(settings: Settings, project: str, stack: str) -> Iterator[ClusterStack]:
    """Raises `InvalidStackError` if the kubeconfig can't be used, and `ClusterError` if a call in the
    block fails."""
    from kubernetes.client import ApiClient

    configuration, context = api_client.configuration(_context(settings, project, stack))
    # urllib3 warns of each connection above this number, and each log has one.
    configuration.connection_pool_maxsize = CONNECTIONS
    where = f"the cluster of context {context} ({configuration.host})"
    with (
        api_client.explained(where, RIGHTS, ClusterError),
        ApiClient(configuration) as client,
    ):
        names = StackNames(project=project, stack=stack, system=settings.system)
        cluster = Cluster(client=client, context=context, names=names)
        yield ClusterStack(cluster, settings.domain)


def _context(settings: Settings, project: str, stack: str) -> str | None:
    """The context of the stack's cluster; None is the current one."""
    if settings.kubernetes.context or settings.platform is not PlatformName.EKS:
        return settings.kubernetes.context
    location = stack_location(settings, project, stack)
    fix = f"add it: {location.kubeconfig_command}"
    # `aws eks update-kubeconfig` names the cluster by its ARN, and the context by its --alias.
    for context, cluster in api_client.contexts(fix)[0].items():
        if cluster == location.cluster_arn:
            return context
    message = f"has no context of the cluster {location.cluster_arn}"
    raise InvalidStackError([Problem("kubeconfig", message, fix)])
