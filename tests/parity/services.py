"""Services and jobs: what only one of them has."""

from dataclasses import replace
from typing import Any

from strata.model import (
    ApiAccess,
    ExecProbe,
    File,
    Job,
    KernelSetting,
    Kind,
    Listen,
    Managed,
    ManagedUser,
    Monitoring,
    Port,
    Probe,
    Resources,
    Restart,
    Secret,
    Volume,
)
from strata.platforms.kubernetes.names import POD_NAME
from tests.parity import finds
from tests.parity.finds import container, in_pod, pod
from tests.parity.row import Change, Check, Refused, Row, Same, Seen, dig, fields, within

HTTP = Port(name="http", number=8000)
ADMIN = Port(name="admin", number=9000)
DATA = (Volume(name="data", path="/data"),)
USER = ManagedUser(name="strata", password=Secret("app"))
COMMAND = Probe(check=ExecProbe(command=("test", "-e", "/ready")))


def _access(**changed: Any) -> Change:
    return fields(api_access=(replace(ApiAccess(resources=("pods",)), **changed),))


def _rule(key: str, value: list[str], **changed: Any) -> Check:
    """What the rule of the role becomes."""
    return Check(
        given=_access(),
        change=_access(**changed),
        docker=Refused("service {name}: api_access"),
        kubernetes=Seen(finds.thing("Role", "{name}", "rules", 0, key), value),
    )


def _managed(**changed: Any) -> Check:
    """Neither platform of the tests has managed services (tests/components/eks has)."""
    managed = Managed(engine="postgres", version="17", users=(USER,))
    refused = Refused("strata:services.{name}.managed")
    return Check(
        given=fields(managed=managed) if changed else lambda process: process,
        change=fields(managed=replace(managed, **changed)),
        docker=refused,
        kubernetes=refused,
    )


SERVICE = (
    Row(
        field="Service.probe",
        docker="health check of the container, which its clients wait for",
        kubernetes="startup, readiness and liveness probes, see Probe; clients wait for the"
        " rollout",
        on=("app",),
        checks=(
            Check(
                change=fields(probe=COMMAND),
                docker=Seen(
                    container("healthcheck", "tests", slice(5, None)), ["test", "-e", "/ready"]
                ),
                kubernetes=Seen(
                    lambda made, name: [
                        in_pod(f"{kind}Probe", "exec", "command")(made, name)
                        for kind in ("startup", "readiness", "liveness")
                    ],
                    [["test", "-e", "/ready"]] * 3,
                ),
            ),
        ),
    ),
    Row(
        field="Service.kind",
        docker="label `strata.kind`",
        kubernetes="label `app.kubernetes.io/component` and PriorityClass: datastore before gateway"
        " before"
        " application",
        on=("app",),
        checks=(
            Check(
                change=fields(kind=Kind.GATEWAY),
                docker=Seen(finds.label("strata.kind"), "gateway"),
                kubernetes=Seen(pod("priorityClassName"), "strata-test-gateway"),
            ),
        ),
    ),
    Row(
        field="Service.ports",
        docker="addresses to listen on and, if published, a port on the host's loopback"
        " address, see Port",
        kubernetes="a Service of type ClusterIP named after the service; if published, a load"
        " balancer too, see Port",
        on=("app",),
        checks=(
            Check(
                change=fields(ports=(HTTP, ADMIN, Port(name="extra", number=7000, published=7001))),
                docker=Seen(container("ports", 0, "internal"), 7000),
                kubernetes=Seen(finds.thing("Service", "{name}", "spec", "ports", 2, "port"), 7000),
            ),
        ),
    ),
    Row(
        field="Service.volumes",
        docker="a named volume for each (and each replica), see Volume",
        kubernetes="the service is a StatefulSet with a claim template for each, see Volume;"
        " without volumes it's a Deployment, unless it's `stateful`",
        on=("app",),
        checks=(
            Check(
                change=fields(volumes=DATA),
                docker=Seen(finds.mount("/data", "source"), "strata-test-app-data"),
                kubernetes=Seen(finds.kind_of_workload, "StatefulSet"),
            ),
        ),
    ),
    Row(
        field="Service.after",
        docker="it starts after these jobs ended with status 0",
        kubernetes="it starts after these Jobs completed, which the provider waits for",
        on=("app",),
        checks=(
            Check(
                change=fields(after=("task",)),
                docker=Seen(finds.waits_for("task-1"), True),
                kubernetes=Seen(finds.starts_after("Job", "task"), True),
            ),
        ),
    ),
    Row(
        field="Service.prepare",
        docker="a container `PROJECT-STACK-NAME-1-prepare` that runs first: with the same"
        " image, files, volumes and links, but without a GPU (a `ByDevice` in it is"
        " that of the CPU). It runs when it's created or changed, which replaces the"
        " service's container too; retries and timeout are a job's defaults",
        kubernetes="an init container `prepare`: with the same image, files, volumes and links,"
        " but without a GPU (a `ByDevice` in it is that of the CPU). It runs whenever"
        " a pod starts",
        on=("app",),
        checks=(
            Check(
                change=fields(prepare=("fetch", "a model")),
                docker=Seen(finds.resource("{name}-1-prepare", "command"), ["fetch", "a model"]),
                kubernetes=Seen(pod("initContainers", 0, "args"), ["fetch", "a model"]),
            ),
        ),
    ),
    Row(
        field="Service.replicas",
        docker="that many containers (`NAME-1`, `NAME-2`, ...), each with its own addresses; the name"
        " resolves to all of them. An update replaces them one at a time, start first if there is memory"
        " for one more, and 10 s apart. Rejected above 1 with a published port, with a file that contains"
        " a `Listen`, or with a volume that isn't a cache unless the service is `stateful`",
        kubernetes="`replicas`; above 1 also a PodDisruptionBudget (`maxUnavailable: 1`) and a"
        " spread over zones and nodes. An update adds a pod before it removes one, 10 s later"
        " (`minReadySeconds`). Rejected above 1 with a volume that isn't a cache, unless the service is"
        " `stateful`",
        on=("app",),
        checks=(
            Check(
                change=fields(replicas=2),
                docker=Seen(finds.resource("{name}-2", "hostname"), "app-2"),
                kubernetes=Seen(
                    lambda made, name: (
                        finds.workload("spec", "replicas")(made, name),
                        finds.thing("PodDisruptionBudget", "{name}", "spec", "maxUnavailable")(
                            made, name
                        ),
                    ),
                    (2, 1),
                ),
            ),
            Check(
                given=fields(volumes=DATA),
                change=fields(replicas=2),
                docker=Refused("service {name}: replicas"),
                kubernetes=Refused("service {name}: replicas"),
            ),
            Check(
                given=fields(ports=(HTTP, Port(name="admin", number=9000, published=9001))),
                change=fields(replicas=2),
                docker=Refused("service {name}: replicas"),
                kubernetes=Seen(finds.workload("spec", "replicas"), 2),
            ),
            Check(
                given=fields(files=(File(path="/etc/app/here", content=Listen("http")),)),
                change=fields(replicas=2),
                docker=Refused("service {name}: files"),
                kubernetes=Seen(finds.workload("spec", "replicas"), 2),
            ),
        ),
    ),
    Row(
        field="Service.replicas_maximum",
        docker="rejected above `replicas`: Docker has no autoscaler",
        kubernetes="a HorizontalPodAutoscaler from `replicas` to this number, at 70% of"
        " `cpu_reserved`; updates then leave the number to it",
        on=("app",),
        checks=(
            Check(
                change=fields(replicas_maximum=3),
                docker=Refused("service {name}: replicas_maximum"),
                kubernetes=Seen(
                    finds.thing("HorizontalPodAutoscaler", "{name}", "spec", "maxReplicas"), 3
                ),
            ),
        ),
    ),
    Row(
        field="Service.stateful",
        docker="containers `NAME-0`, `NAME-1`, ..., with a volume `SERVICE-VOLUME.ORDINAL`"
        " each and the alias `NAME-ORDINAL` on the networks of clients and peers."
        " Rejected with `replicas_maximum`",
        kubernetes="a StatefulSet with a headless Service `NAME-pods`: replicas `NAME-ORDINAL`, with"
        " a claim and a Service each, and the host name `NAME-ORDINAL.NAME-pods`. Rejected with"
        " `replicas_maximum`",
        on=("app",),
        checks=(
            Check(
                given=fields(replicas=2),
                change=fields(stateful=True),
                docker=Seen(
                    lambda made, name: (
                        finds.resource("{name}-0", "hostname")(made, name),
                        finds.resource("{name}-1", "networksAdvanced", 0, "aliases")(made, name),
                    ),
                    ("app-0", ["app", "app-1.app", "app-1"]),
                ),
                kubernetes=Seen(
                    lambda made, name: (
                        finds.kind_of_workload(made, name),
                        finds.workload("spec", "serviceName")(made, name),
                        finds.thing("Service", "{name}-pods", "spec", "clusterIP")(made, name),
                        finds.thing("Service", "{name}-1", "spec", "selector", POD_NAME)(
                            made, name
                        ),
                    ),
                    ("StatefulSet", "app-pods", "None", "app-1"),
                ),
            ),
            Check(
                given=fields(replicas=2, volumes=DATA),
                change=fields(stateful=True),
                docker=Seen(finds.mount("/data", "source"), "strata-test-app-data.1"),
                kubernetes=Seen(
                    lambda made, name: (
                        finds.workload("spec", "replicas")(made, name),
                        finds.workload("spec", "volumeClaimTemplates", 0, "metadata", "name")(
                            made, name
                        ),
                    ),
                    (2, "data"),
                ),
            ),
            Check(
                given=fields(replicas_maximum=2),
                change=fields(stateful=True),
                docker=Refused("service {name}: replicas_maximum"),
                kubernetes=Refused("service {name}: replicas_maximum"),
            ),
        ),
    ),
    Row(
        field="Service.monitoring",
        docker="read by ObservabilityStack",
        kubernetes="read by ObservabilityStack",
        on=("app",),
        checks=(Check(change=fields(monitoring=Monitoring()), docker=Same(), kubernetes=Same()),),
    ),
    Row(
        field="Service.exporter",
        docker="added by ObservabilityStack",
        kubernetes="added by ObservabilityStack",
        on=("app",),
        checks=(
            Check(
                change=lambda app: fields(exporter=replace(app, name="app-exporter"))(app),
                docker=Same(),
                kubernetes=Same(),
            ),
        ),
    ),
    Row(
        field="Service.kernel",
        docker="compared with the machine's by `strata doctor`",
        kubernetes="not checked: set it on the nodes",
        on=("app",),
        checks=(
            Check(
                change=fields(
                    kernel=KernelSetting(
                        name="vm.overcommit_memory", value=1, or_more=False, reason="It forks."
                    )
                ),
                docker=Same(),
                kubernetes=Same(),
            ),
        ),
    ),
    Row(
        field="Service.on_every_node",
        docker="one container: Docker has one node",
        kubernetes="a DaemonSet whose pods tolerate the taint of GPU nodes, with the PriorityClass"
        " `agent`; rejected with replicas, volumes or a GPU",
        on=("app",),
        checks=(
            Check(
                change=fields(on_every_node=True),
                docker=Same(),
                kubernetes=Seen(finds.kind_of_workload, "DaemonSet"),
            ),
            Check(
                given=fields(replicas=2),
                change=fields(on_every_node=True),
                docker=Refused("service {name}: replicas"),
                kubernetes=Refused("service {name}: replicas"),
            ),
        ),
    ),
    Row(
        field="Service.api_access",
        docker="rejected: there is no such API",
        kubernetes="a token of the service's own account, at the usual path, and egress to the API"
        " server, see ApiAccess",
        on=("app",),
        checks=(
            Check(
                change=_access(),
                docker=Refused("service {name}: api_access"),
                kubernetes=Seen(
                    lambda made, name: dig(
                        finds.mount_in_pod("/var/run/secrets/kubernetes.io/serviceaccount")(
                            made, name
                        ),
                        "name",
                    ),
                    "api-token",
                ),
            ),
        ),
    ),
    Row(
        field="ApiAccess.resources",
        docker="rejected",
        kubernetes="the resources of a rule of the role; with `nodes/metrics` also egress to the"
        " kubelets, and with cluster-wide `pods` to the metrics of the cluster's own pods",
        on=("app",),
        checks=(_rule("resources", ["events"], resources=("events",)),),
    ),
    Row(
        field="ApiAccess.group",
        docker="rejected",
        kubernetes="the API group of the rule",
        on=("app",),
        checks=(_rule("apiGroups", ["apps"], group="apps"),),
    ),
    Row(
        field="ApiAccess.verbs",
        docker="rejected",
        kubernetes="the verbs of the rule",
        on=("app",),
        checks=(_rule("verbs", ["list"], verbs=("list",)),),
    ),
    Row(
        field="ApiAccess.cluster_wide",
        docker="rejected",
        kubernetes="a ClusterRole `PROJECT-STACK-NAME` and its binding, instead of a Role and its"
        " binding in the namespace of the stack",
        on=("app",),
        checks=(
            Check(
                given=_access(),
                change=_access(cluster_wide=True),
                docker=Refused("service {name}: api_access"),
                kubernetes=Seen(
                    finds.thing("ClusterRole", "{name}", "metadata", "name"), "strata-test-app"
                ),
            ),
        ),
    ),
    Row(
        field="Service.bucket",
        docker="rejected: there is no object store",
        kubernetes="on EKS an S3 bucket, encrypted, versioned and protected, which the account of"
        " the service alone may read and write (Pod Identity); rejected on any other cluster",
        on=("app",),
        checks=(
            Check(
                change=fields(bucket=True),
                docker=Refused("service {name}: bucket"),
                kubernetes=Refused("service {name}: bucket"),
            ),
        ),
    ),
    Row(
        field="Service.managed",
        docker="rejected",
        kubernetes="on EKS a managed service of AWS, in subnets of its own; rejected on any other cluster."
        " In the cluster it has only the job of `Managed.set_up`",
        on=("app",),
        checks=(_managed(),),
    ),
    *(
        Row(
            field=field,
            docker="rejected, as `Service.managed` is",
            kubernetes=f"on EKS: {described}",
            on=("app",),
            checks=(_managed(**changed),),
        )
        for field, described, changed in (
            (
                "Managed.engine",
                "`opensearch` is OpenSearch Service, `postgres` is RDS, `rabbitmq` is Amazon MQ, `valkey` is"
                " ElastiCache",
                {"engine": "valkey"},
            ),
            ("Managed.version", "the version of the engine", {"version": "18"}),
            ("Managed.users", "the users that AWS creates", {"users": ()}),
            ("Managed.database", "the database that AWS creates", {"database": "data"}),
            (
                "Managed.parameters",
                "a parameter group; no other service than RDS and ElastiCache has any",
                {"parameters": {"a": "b"}},
            ),
            (
                "Managed.set_up",
                "a Job with the name of the service, which its clients wait for",
                {"set_up": Job(name="app", image="postgres", resources=Resources(memory_mib=64))},
            ),
            (
                "Managed.set_up_port",
                "the only port that the Job may connect to, and that the security group admits besides",
                {"set_up_port": 443},
            ),
            (
                "Managed.client",
                "the user that clients have in their variables and files",
                {"client": USER},
            ),
            (
                "Managed.instance_class",
                "the class of each instance",
                {"instance_class": "db.m7g.large"},
            ),
            (
                "Managed.storage_gib",
                "the storage; rejected for ElastiCache and Amazon MQ",
                {"storage_gib": 100},
            ),
            (
                "Managed.replicas",
                "replicas in other zones; RDS has one standby and Amazon MQ two copies, and other numbers are"
                " rejected, as any is for OpenSearch Service",
                {"replicas": 2},
            ),
            ("ManagedUser.name", "the name of the user", {"users": (replace(USER, name="other"),)}),
            (
                "ManagedUser.password",
                "its password, encrypted in the state",
                {"users": (replace(USER, password=Secret("other")),)},
            ),
            (
                "ManagedUser.rights",
                "its access string; no other engine has any",
                {"users": (replace(USER, rights="~* +@all"),)},
            ),
        )
    ),
    Row(
        field="Service.authentication",
        docker="label `strata.authentication` of the container",
        kubernetes="annotation `strata.authentication` of the Service of type LoadBalancer",
        on=("app",),
        checks=(
            Check(
                given=within("ports", published=9443),
                change=fields(authentication="OAuth tokens"),
                docker=Seen(finds.label("strata.authentication"), "OAuth tokens"),
                kubernetes=Seen(
                    finds.thing(
                        "Service",
                        "{name}-public",
                        "metadata",
                        "annotations",
                        "strata.authentication",
                    ),
                    "OAuth tokens",
                ),
            ),
        ),
    ),
    Row(
        field="Service.restart",
        docker="restart policy; `on-failure` gives up after 5 attempts",
        kubernetes="pods always restart: `always` and `unless-stopped` are the same, others are"
        " rejected",
        on=("app",),
        checks=(
            Check(
                change=fields(restart=Restart.UNLESS_STOPPED),
                docker=Seen(container("restart"), "unless-stopped"),
                kubernetes=Same(),
            ),
            Check(
                change=fields(restart=Restart.ON_FAILURE),
                docker=Seen(container("maxRetryCount"), 5),
                kubernetes=Refused("service {name}: restart"),
            ),
            Check(
                change=fields(restart=Restart.NO),
                docker=Seen(container("restart"), "no"),
                kubernetes=Refused("service {name}: restart"),
            ),
        ),
    ),
    Row(
        field="Service.stop_signal",
        docker="stop signal",
        kubernetes="Kubernetes sends SIGTERM; a `preStop` hook (bash) sends any other signal to"
        " process 1 and waits for it to end",
        on=("app",),
        checks=(
            Check(
                change=fields(stop_signal="SIGINT"),
                docker=Seen(container("stopSignal"), "SIGINT"),
                kubernetes=Seen(
                    lambda made, name: (
                        "kill -INT 1"
                        in str(in_pod("lifecycle", "preStop", "exec", "command", 2)(made, name))
                    ),
                    True,
                ),
            ),
        ),
    ),
    Row(
        field="Service.stop_grace_seconds",
        docker="stop timeout, also when Pulumi replaces the container",
        kubernetes="`terminationGracePeriodSeconds`, plus 5 s to drain clients (20 s behind the"
        " load balancer)",
        on=("app",),
        checks=(
            Check(
                change=fields(stop_grace_seconds=45),
                docker=Seen(
                    lambda made, name: (
                        container("stopTimeout")(made, name),
                        container("destroyGraceSeconds")(made, name),
                    ),
                    (45, 45),
                ),
                kubernetes=Seen(pod("terminationGracePeriodSeconds"), 50),
            ),
        ),
    ),
)

JOB = (
    Row(
        field="Job.schedule",
        docker="Docker has no scheduler: the container is created with the label"
        " `strata.schedule` but not started, and `pulumi up` prints that `docker start"
        " --attach` runs it. Without a schedule, the container runs during `pulumi up`"
        " when it's created or changed",
        kubernetes="a CronJob in UTC that never runs twice at a time; without a schedule, a Job"
        " that completes before the update continues",
        on=("task",),
        checks=(
            Check(
                change=fields(schedule="0 3 * * *"),
                docker=Seen(
                    lambda made, name: (
                        container("start")(made, name),
                        finds.label("strata.schedule")(made, name),
                    ),
                    (False, "0 3 * * *"),
                ),
                kubernetes=Seen(finds.workload("spec", "schedule"), "0 3 * * *"),
            ),
        ),
    ),
    Row(
        field="Job.retries",
        docker="how often the container is started again before the update fails, with the"
        " end of its log",
        kubernetes="`backoffLimit`; each attempt is a pod",
        on=("task",),
        checks=(
            Check(
                change=fields(retries=1),
                docker=Seen(finds.gate("retries"), 1),
                kubernetes=Seen(finds.workload("spec", "backoffLimit"), 1),
            ),
        ),
    ),
    Row(
        field="Job.timeout_seconds",
        docker="the timeout of each attempt, which is then killed",
        kubernetes="`activeDeadlineSeconds` of the pod, for each attempt; that of the Job limits"
        " all attempts together",
        on=("task",),
        checks=(
            Check(
                change=fields(timeout_seconds=60),
                docker=Seen(finds.gate("timeout_seconds"), 60),
                kubernetes=Seen(pod("activeDeadlineSeconds"), 60),
            ),
        ),
    ),
)
