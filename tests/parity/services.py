"""What services alone have: their ports and probes, and what jobs alone have."""

from strata.model import (
    Endpoint,
    ExecProbe,
    File,
    HttpProbe,
    Kind,
    Listen,
    Port,
    Probe,
    Protocol,
    Restart,
    Volume,
)
from tests.parity import finds
from tests.parity.finds import container, in_pod, pod
from tests.parity.row import Check, Made, Refused, Row, Same, Seen, fields, within

HTTP = Port(name="http", number=8000)
ADMIN = Port(name="admin", number=9000)
DATA = (Volume(name="data", path="/data"),)
SERVER = Endpoint(service="server", port="http", number=8000)
COMMAND = Probe(check=ExecProbe(command=("test", "-e", "/ready")))


def _check_in_container(made: Made, name: str) -> str:
    return " ".join(container("healthcheck", "tests")(made, name) or ())


SERVICE = (
    Row(
        field="Service.probe",
        docker="health check of the container, and the gate that its clients wait at",
        kubernetes="startup, readiness and liveness probe, see Probe; clients wait for the rollout",
        on=("app",),
        checks=(
            Check(
                change=fields(probe=COMMAND),
                docker=Seen(container("healthcheck", "tests"), ["CMD", "test", "-e", "/ready"]),
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
        kubernetes="label `app.kubernetes.io/component` and the PriorityClass: datastore, then gateway, then"
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
        docker="addresses to listen on and, where published, a port of the host's loopback, see"
        " Port",
        kubernetes="a Service of type ClusterIP named after the service; where published, a load"
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
        docker="a named volume each (of each replica), see Volume",
        kubernetes="the service is a StatefulSet with a claim template each, see Volume; without"
        " volumes it is a Deployment",
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
        docker="a start after these jobs have ended with 0",
        kubernetes="a start after these Jobs are complete, which the provider waits for",
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
        docker="a container `PROJECT-STACK-NAME-1-prepare` that runs to its end before: same image,"
        " files, volumes and links, no GPU (an `ByDevice` in it is the CPU's). It runs when it is"
        " made and when it is changed, which replaces the service's container too; tried and timed"
        " as a job is by default",
        kubernetes="an init container `prepare`: same image, files, volumes and links, no GPU (an"
        " `ByDevice` in it is the CPU's). It runs at the start of every pod",
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
        " resolves to all of them. Rejected above 1 with a published port, with a file that contains"
        " a `Listen`, or with a volume that isn't a cache unless the service is `stateful`",
        kubernetes="`replicas`; above 1 also a PodDisruptionBudget (`maxUnavailable: 1`) and a"
        " spread over zones and nodes. Rejected above 1 with a volume that isn't a cache, unless the"
        " service is `stateful`",
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
        docker="refused above `replicas`: Docker has no autoscaler",
        kubernetes="a HorizontalPodAutoscaler from `replicas` to this, at 70 % of `cpu_reserved`;"
        " the workload then states no `replicas`",
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
        docker="containers `NAME-0`, `NAME-1`, ..., with a volume `SERVICE-VOLUME.ORDINAL` each and"
        " the alias `NAME-ORDINAL` on the networks of their clients and peers. Rejected with"
        " `replicas_maximum`",
        kubernetes="a StatefulSet with a headless Service `NAME-pods`: replicas `NAME-ORDINAL`, with"
        " a claim each, and the host name `NAME-ORDINAL.NAME-pods`. Rejected with"
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
                    ("app-0", ["app", "app-1"]),
                ),
                kubernetes=Seen(
                    lambda made, name: (
                        finds.kind_of_workload(made, name),
                        finds.workload("spec", "serviceName")(made, name),
                        finds.thing("Service", "{name}-pods", "spec", "clusterIP")(made, name),
                    ),
                    ("StatefulSet", "app-pods", "None"),
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
        field="Service.restart",
        docker="restart policy; `on-failure` gives up after 5 attempts",
        kubernetes="pods are always started again: always and unless-stopped are the same, others"
        " are refused",
        on=("app",),
        checks=(
            Check(
                change=fields(restart=Restart.ALWAYS),
                docker=Seen(container("restart"), "always"),
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
        kubernetes="SIGTERM is Kubernetes' own; another is sent by a `preStop` hook (bash) to"
        " process 1, and waited for",
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
        docker="stop timeout, and how long Pulumi waits before it kills",
        kubernetes="`terminationGracePeriodSeconds`, after 5 s in which clients stop coming (20 s"
        " behind the load balancer)",
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
        docker="Docker has no scheduler: the container is made and not started, with the label"
        " `strata.schedule`, and `pulumi up` says that `docker start --attach` runs it. Without one"
        " the container runs to its end during `pulumi up`, when it is made and when it is changed",
        kubernetes="a CronJob in UTC that never runs twice at a time; without one a Job, complete"
        " before the update goes on",
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
        docker="how often the same container is started again; then the update fails, with the end"
        " of its log",
        kubernetes="`backoffLimit`; each try is a pod",
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
        docker="of each try, which is killed then",
        kubernetes="`activeDeadlineSeconds` of the pod: of each try. That of the Job bounds all"
        " tries together",
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

PORT = (
    Row(
        field="Port.name",
        docker="what `Listen` and endpoints call it; `https` gives its URL that scheme",
        kubernetes="name of the port; `https` is published as 443, `http` as 80 (and not at all"
        " beside a published `https`). Refused where it is no IANA service name (at most 15 of a-z,"
        " 0-9 and `-`)",
        on=("app",),
        checks=(
            Check(
                given=within("ports", published=8443),
                change=within("ports", name="https"),
                docker=Seen(finds.output("urls", "{name}"), "https://127.0.0.1:8443"),
                kubernetes=Seen(finds.output("urls", "{name}"), "https://lb.test"),
            ),
            Check(
                change=within("ports", name="administration-of-all"),
                docker=Same(),
                kubernetes=Refused("service {name}: ports"),
            ),
        ),
    ),
    Row(
        field="Port.number",
        docker="part of the name of the network that leads to it; the container's side of a"
        " published port",
        kubernetes="`containerPort`, and the port of the ClusterIP Service",
        on=("app",),
        checks=(
            Check(
                given=within("ports", published=9443),
                change=within("ports", number=9001),
                docker=Seen(container("ports", 0, "internal"), 9001),
                kubernetes=Seen(in_pod("ports", 1, "containerPort"), 9001),
            ),
        ),
    ),
    Row(
        field="Port.last",
        docker="the end of a range: part of the name of the network that leads to it. Rejected below"
        " `number`, and where the range is published",
        kubernetes="`endPort` in the NetworkPolicies. Rejected below `number`, and where the range"
        " is published",
        on=("app",),
        checks=(
            Check(
                change=within("ports", last=9010),
                others={"client": within("links", port="admin", number=9000, last=9010)},
                docker=Seen(finds.is_on("{name}-9000-9010"), True),
                kubernetes=Seen(finds.may_receive(port=9000, endPort=9010, protocol="TCP"), True),
            ),
            Check(
                change=within("ports", last=8999),
                docker=Refused("service {name}: ports.admin"),
                kubernetes=Refused("service {name}: ports.admin"),
            ),
            Check(
                given=within("ports", published=9443),
                change=within("ports", last=9010),
                docker=Refused("service {name}: ports.admin"),
                kubernetes=Refused("service {name}: ports.admin"),
            ),
        ),
    ),
    Row(
        field="Port.protocol",
        docker="UDP: part of the name of the network that leads to it, and the protocol of a"
        " published port",
        kubernetes="`protocol` of the port in the pod, the Services and the NetworkPolicies",
        on=("app",),
        checks=(
            Check(
                change=within("ports", protocol=Protocol.UDP),
                others={
                    "client": within("links", port="admin", number=9000, protocol=Protocol.UDP)
                },
                docker=Seen(finds.is_on("{name}-9000udp"), True),
                kubernetes=Seen(
                    lambda made, name: (
                        in_pod("ports", 1, "protocol")(made, name),
                        finds.thing("Service", "{name}", "spec", "ports", 1, "protocol")(
                            made, name
                        ),
                        finds.may_receive(port=9000, protocol="UDP")(made, name),
                    ),
                    ("UDP", "UDP", True),
                ),
            ),
            Check(
                given=within("ports", published=9443),
                change=within("ports", protocol=Protocol.UDP),
                docker=Seen(container("ports", 0, "protocol"), "udp"),
                kubernetes=Seen(
                    finds.thing("Service", "{name}-public", "spec", "ports", 0, "protocol"), "UDP"
                ),
            ),
        ),
    ),
    Row(
        field="Port.peers",
        docker="a network of the replicas alone, `NAME-PORT-NAME`",
        kubernetes="ingress from, and egress to, the service's own pods in its NetworkPolicy",
        on=("app",),
        checks=(
            Check(
                change=within("ports", peers=True),
                docker=Seen(finds.is_on("{name}-9000-{name}"), True),
                kubernetes=Seen(
                    lambda made, name: (
                        finds.may_open(name, 9000)(made, name),
                        finds.may_receive(port=9000, protocol="TCP")(made, name),
                    ),
                    (True, True),
                ),
            ),
        ),
    ),
    Row(
        field="Port.published",
        docker="the port of 127.0.0.1 that leads here, over the network `NAME-outward`",
        kubernetes="a Service of type LoadBalancer, `NAME-public`: 443, 80, or this number for a"
        " port of another name. A second service that publishes is refused",
        on=("app",),
        checks=(
            Check(
                change=within("ports", published=9443),
                docker=Seen(container("ports", 0, "external"), 9443),
                kubernetes=Seen(
                    finds.thing("Service", "{name}-public", "spec", "ports", 0, "port"), 9443
                ),
            ),
            Check(
                change=within("ports", published=9443),
                others={"store": within("ports", published=9444)},
                docker=Seen(container("ports", 0, "external"), 9443),
                kubernetes=Refused("service {name}: ports"),
            ),
        ),
    ),
    Row(
        field="Port.bound",
        docker="False: the service gets, as a client, a network alone with each of its servers",
        kubernetes="nothing to do: a process listens on 0.0.0.0, and a NetworkPolicy decides who"
        " gets there",
        on=("app",),
        checks=(
            Check(
                change=within("ports", bound=False),
                docker=Seen(finds.is_on("server-8000-{name}"), True),
                kubernetes=Same(),
            ),
        ),
    ),
)

ENDPOINT = (
    Row(
        field="Endpoint.service",
        docker="the server whose network the client joins, and waits for",
        kubernetes="the server: in both NetworkPolicies, and waited for",
        on=("app", "task"),
        checks=(
            Check(
                change=within("links", service="store"),
                docker=Seen(finds.is_on("store-8000"), True),
                kubernetes=Seen(finds.may_open("store", 8000), True),
            ),
            Check(
                change=within("links", service="nobody"),
                docker=Refused("{noun} {name}: links[0]"),
                kubernetes=Refused("{noun} {name}: links[0]"),
            ),
        ),
    ),
    Row(
        field="Endpoint.port",
        docker="for people: the error that lists a server's ports has the names",
        kubernetes="as on Docker",
        on=("app", "task"),
        checks=(Check(change=within("links", port="web"), docker=Same(), kubernetes=Same()),),
    ),
    Row(
        field="Endpoint.number",
        docker="which of the server's networks the client joins",
        kubernetes="the port of both NetworkPolicies",
        on=("app", "task"),
        checks=(
            Check(
                change=within("links", number=9000),
                docker=Seen(finds.is_on("server-9000"), True),
                kubernetes=Seen(finds.may_open("server", 9000), True),
            ),
        ),
    ),
    Row(
        field="Endpoint.last",
        docker="the end of the range: which of the server's networks the client joins. Rejected where"
        " the server has no port of the same range",
        kubernetes="`endPort` in both NetworkPolicies. Rejected where the server has no port of the"
        " same range",
        on=("app", "task"),
        checks=(
            Check(
                others={"server": within("ports", last=9010)},
                change=within("links", port="admin", number=9000, last=9010),
                docker=Seen(finds.is_on("server-9000-9010"), True),
                kubernetes=Seen(finds.may_open("server", 9000, endPort=9010), True),
            ),
            Check(
                change=within("links", last=8010),
                docker=Refused("{noun} {name}: links[0]"),
                kubernetes=Refused("{noun} {name}: links[0]"),
            ),
        ),
    ),
    Row(
        field="Endpoint.protocol",
        docker="which of the server's networks the client joins. Rejected where the server's port"
        " has the other protocol",
        kubernetes="`protocol` in both NetworkPolicies. Rejected where the server's port has the"
        " other protocol",
        on=("app", "task"),
        checks=(
            Check(
                others={"server": within("ports", protocol=Protocol.UDP)},
                change=within("links", port="admin", number=9000, protocol=Protocol.UDP),
                docker=Seen(finds.is_on("server-9000udp"), True),
                kubernetes=Seen(finds.may_open("server", 9000, protocol="UDP"), True),
            ),
            Check(
                change=within("links", protocol=Protocol.UDP),
                docker=Refused("{noun} {name}: links[0]"),
                kubernetes=Refused("{noun} {name}: links[0]"),
            ),
        ),
    ),
    Row(
        field="Endpoint.waits",
        docker="False: the client starts whether or not the server is healthy",
        kubernetes="as on Docker",
        on=("app", "task"),
        checks=(
            Check(
                change=within("links", waits=False),
                docker=Seen(finds.waits_for("server-1"), False),
                kubernetes=Seen(finds.starts_after("Deployment", "server"), False),
            ),
        ),
    ),
)


PROBE = (
    Row(
        field="Probe.check",
        docker="the command of the health check, also run by the gate",
        kubernetes="`httpGet` or `exec`",
        on=("app",),
        checks=(
            Check(
                change=within("probe", check=ExecProbe(command=("true",))),
                docker=Seen(container("healthcheck", "tests"), ["CMD", "true"]),
                kubernetes=Seen(in_pod("readinessProbe", "exec", "command"), ["true"]),
            ),
        ),
    ),
    Row(
        field="Probe.interval_seconds",
        docker="`interval`",
        kubernetes="`periodSeconds` of readiness and liveness",
        on=("app",),
        checks=(
            Check(
                change=within("probe", interval_seconds=7),
                docker=Seen(container("healthcheck", "interval"), "7s"),
                kubernetes=Seen(
                    lambda made, name: [
                        in_pod(f"{kind}Probe", "periodSeconds")(made, name)
                        for kind in ("readiness", "liveness")
                    ],
                    [7, 7],
                ),
            ),
        ),
    ),
    Row(
        field="Probe.timeout_seconds",
        docker="`timeout`",
        kubernetes="`timeoutSeconds` of all three",
        on=("app",),
        checks=(
            Check(
                change=within("probe", timeout_seconds=61),
                docker=Seen(container("healthcheck", "timeout"), "1m1s"),
                kubernetes=Seen(
                    lambda made, name: [
                        in_pod(f"{kind}Probe", "timeoutSeconds")(made, name)
                        for kind in ("startup", "readiness", "liveness")
                    ],
                    [61, 61, 61],
                ),
            ),
        ),
    ),
    Row(
        field="Probe.retries",
        docker="`retries`",
        kubernetes="`failureThreshold` of readiness; liveness fails only after"
        " `ready_within_seconds` of failures, so that a server that starts anew does not take its"
        " clients along",
        on=("app",),
        checks=(
            Check(
                change=within("probe", retries=4),
                docker=Seen(container("healthcheck", "retries"), 4),
                kubernetes=Seen(in_pod("readinessProbe", "failureThreshold"), 4),
            ),
        ),
    ),
    Row(
        field="Probe.start_period_seconds",
        docker="`start_period`",
        kubernetes="the startup probe goes on for at least so long",
        on=("app",),
        checks=(
            Check(
                change=within("probe", start_period_seconds=300),
                docker=Seen(container("healthcheck", "startPeriod"), "5m0s"),
                kubernetes=Seen(in_pod("startupProbe", "failureThreshold"), 300),
            ),
        ),
    ),
    Row(
        field="Probe.ready_within_seconds",
        docker="how long `pulumi up` waits at the gate before it fails",
        kubernetes="`failureThreshold` of the startup probe (asked every second); with the time for"
        " a node to come, also `progressDeadlineSeconds` and how long `pulumi up` waits",
        on=("app",),
        checks=(
            Check(
                change=within("probe", ready_within_seconds=200),
                docker=Seen(finds.gate("ready_within_seconds"), 200),
                kubernetes=Seen(in_pod("startupProbe", "failureThreshold"), 200),
            ),
        ),
    ),
    Row(
        field="HttpProbe.port",
        docker="port of 127.0.0.1 in the container, asked by bash (so the image must have bash)",
        kubernetes="port of `httpGet`, asked by the kubelet at the pod's address",
        on=("app",),
        checks=(
            Check(
                change=within("probe", check=HttpProbe(port=9000)),
                docker=Seen(
                    lambda made, name: "/127.0.0.1/9000 " in _check_in_container(made, name), True
                ),
                kubernetes=Seen(in_pod("readinessProbe", "httpGet", "port"), 9000),
            ),
        ),
    ),
    Row(
        field="HttpProbe.path",
        docker="path of the `GET`; healthy when the answer is 200",
        kubernetes="path of `httpGet`; healthy when the answer is 200 to 399",
        on=("app",),
        checks=(
            Check(
                change=within("probe", check=HttpProbe(port=8000, path="/ready")),
                docker=Seen(
                    lambda made, name: "GET /ready HTTP" in _check_in_container(made, name), True
                ),
                kubernetes=Seen(in_pod("readinessProbe", "httpGet", "path"), "/ready"),
            ),
        ),
    ),
    Row(
        field="ExecProbe.command",
        docker='`["CMD", ...]`; healthy when it ends with 0',
        kubernetes="command of `exec`; healthy when it ends with 0",
        on=("app",),
        checks=(
            Check(
                given=fields(probe=COMMAND),
                change=within("probe", check=ExecProbe(command=("test", "-e", "/other"))),
                docker=Seen(container("healthcheck", "tests", 3), "/other"),
                kubernetes=Seen(in_pod("readinessProbe", "exec", "command", 2), "/other"),
            ),
        ),
    ),
)
