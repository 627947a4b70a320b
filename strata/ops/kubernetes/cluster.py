"""The objects of a stack in a cluster, as JSON, and the calls that the day-to-day commands make."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from strata.errors import InvalidStackError
from strata.ops.deployed import check_names, not_up
from strata.platforms.kubernetes.api_client import ANSWER_SECONDS
from strata.platforms.kubernetes.discovery import quantity
from strata.platforms.kubernetes.names import NAME, StackNames
from strata.platforms.kubernetes.pod_state import Json

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

THREADS = 8
LOG_SECONDS = 60
"""How long a log may have no line before its connection is opened again: load balancers drop idle
connections without notice, the Network Load Balancer after 350 s."""
CONTROLLERS = ("Deployment", "StatefulSet", "DaemonSet")
JOBS = ("Job", "CronJob")

_RESOURCES = {
    "Deployment": ("apps", "v1", "deployments"),
    "StatefulSet": ("apps", "v1", "statefulsets"),
    "DaemonSet": ("apps", "v1", "daemonsets"),
    "Job": ("batch", "v1", "jobs"),
    "CronJob": ("batch", "v1", "cronjobs"),
    "PodMetrics": ("metrics.k8s.io", "v1beta1", "pods"),
}
"""The group, the version and the path of a kind."""


@dataclass(frozen=True, kw_only=True)
class PodUsage:
    memory_mib: float
    cores: float


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A stack in the cluster of a context."""

    client: "ApiClient"
    context: str
    names: StackNames

    def objects(self, *kinds: str) -> list[Json]:
        """The stack's objects of these kinds, each with its `kind`, in both namespaces."""
        namespaces = (self.names.namespace, self.names.agents_namespace)
        places = [(kind, namespace) for kind in kinds for namespace in namespaces]
        with ThreadPoolExecutor(THREADS) as threads:
            listed = threads.map(lambda place: self._list(*place), places)
            return sorted((each for items in listed for each in items), key=name_of)

    def pods(self, services: Collection[str] = ()) -> list[Json]:
        """The pods of these services and jobs; of all without names."""
        return [
            each for each in self.objects("Pod") if not services or service_of(each) in services
        ]

    def check_services(self, services: Collection[str]) -> list[Json]:
        """Returns the controllers and jobs of the stack. Raises `InvalidStackError` if there are none,
        or if one of the names has none."""
        workloads = self.objects(*CONTROLLERS, *JOBS)
        if not workloads:
            raise self.not_up()
        check_names(self.names.stack, services, {service_of(each) for each in workloads})
        return workloads

    def not_up(self) -> InvalidStackError:
        """The error for a stack without workloads."""
        return not_up(self.names.stack, f"in the cluster of context {self.context}")

    def usage(self) -> dict[str, PodUsage] | None:
        """What each running pod uses, by its name; None if the cluster serves no metrics, or not to
        this user."""
        from kubernetes.client.exceptions import ApiException

        try:
            return usage(self.objects("PodMetrics"))
        except ApiException as error:
            # 404: there is no metrics-server. 503: it doesn't answer.
            if error.status in (403, 404, 503):
                return None
            raise

    def log(
        self,
        pod: Json,
        *,
        since_seconds: int | None = None,
        tail: int | None = None,
        follow: bool = False,
    ) -> Iterator[bytes]:
        """The lines of a pod's container, each with its time before it."""
        from kubernetes.client import CoreV1Api

        response: Any = CoreV1Api(self.client).read_namespaced_pod_log(
            name_of(pod),
            pod["metadata"]["namespace"],
            container=container_of(pod)["name"],
            follow=follow,
            since_seconds=since_seconds,
            tail_lines=tail,
            timestamps=True,
            _preload_content=False,
            _request_timeout=(ANSWER_SECONDS, LOG_SECONDS),
        )
        try:
            yield from response
        finally:
            response.close()

    def read(self, controller: Json) -> Json:
        """A Deployment, StatefulSet or DaemonSet as it is now."""
        from kubernetes.client import CustomObjectsApi

        return _json(
            CustomObjectsApi(self.client).get_namespaced_custom_object, *_address(controller)
        )

    def patch(self, controller: Json, change: Json, field_manager: str) -> Json:
        """Changes a Deployment, StatefulSet or DaemonSet by a merge patch, and returns it."""
        from kubernetes.client import CustomObjectsApi

        return _json(
            CustomObjectsApi(self.client).patch_namespaced_custom_object,
            *_address(controller),
            change,
            field_manager=field_manager,
            _content_type="application/merge-patch+json",
        )

    def _list(self, kind: str, namespace: str) -> Iterator[Json]:
        from kubernetes.client import CoreV1Api, CustomObjectsApi

        core = CoreV1Api(self.client)
        lists = {"Pod": core.list_namespaced_pod, "Service": core.list_namespaced_service}
        # On EKS, the cluster's own pods are in the same namespaces.
        selector = self.names.workloads
        if kind in lists:
            listed = _json(lists[kind], namespace, label_selector=selector)
        else:
            group, version, plural = _RESOURCES[kind]
            api = CustomObjectsApi(self.client)
            listed = _json(
                api.list_namespaced_custom_object,
                group,
                version,
                namespace,
                plural,
                label_selector=selector,
            )
        # The items of a list don't have their kind.
        return ({**each, "kind": kind} for each in listed["items"])


def _address(item: Json) -> tuple[str, str, str, str, str]:
    """The group, the version, the namespace, the path and the name of an object."""
    group, version, plural = _RESOURCES[item["kind"]]
    return group, version, item["metadata"]["namespace"], plural, name_of(item)


def _json(call: Callable[..., Any], *arguments: Any, **options: Any) -> Json:
    """The answer of an API method as JSON: the client takes longer to make objects of an answer than
    to get it."""
    response = call(*arguments, **options, _preload_content=False, _request_timeout=ANSWER_SECONDS)
    answer: Json = json.loads(response.data)
    return answer


def name_of(item: Json) -> str:
    return str(item["metadata"]["name"])


def service_of(item: Json) -> str:
    """The service or the job of an object."""
    return str(item["metadata"]["labels"][NAME])


def container_of(pod: Json) -> Json:
    """The container of the service: it has the service's name. A cluster may add others, such as the
    proxy of a service mesh."""
    containers: list[Json] = pod["spec"]["containers"]
    named = [each for each in containers if each["name"] == service_of(pod)]
    return (named or containers)[0]


def container_status(pod: Json) -> Json:
    """The status of the service's container; empty before its node accepted the pod."""
    name = container_of(pod)["name"]
    statuses: list[Json] = pod["status"].get("containerStatuses", [])
    return next((each for each in statuses if each["name"] == name), {})


def limits(pod: Json) -> Mapping[str, float]:
    """The limits of all containers together: `memory` in bytes, `cpu` in cores, and GPUs."""
    total: dict[str, float] = {}
    for container in pod["spec"]["containers"]:
        for name, amount in container.get("resources", {}).get("limits", {}).items():
            total[name] = total.get(name, 0) + float(quantity(amount))
    return total


def usage(metrics: Iterable[Json]) -> dict[str, PodUsage]:
    """Reads the answers of the metrics API."""
    return {
        name_of(each): PodUsage(
            memory_mib=sum(
                float(quantity(one["usage"]["memory"])) / 2**20 for one in each["containers"]
            ),
            cores=sum(float(quantity(one["usage"]["cpu"])) for one in each["containers"]),
        )
        for each in metrics
    }
