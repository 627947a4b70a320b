"""Pod Security: the restricted profile as the API server enforces it, one rule a check.

The checks are those of k8s.io/pod-security-admission for version 1.35, and the tests compare them
with its fixtures. They look at init, ordinary and ephemeral containers of every kind of workload.
"""

from __future__ import annotations

from typing import Any

from strata.policies.crossguard.judge import Judge
from strata.policies.crossguard.rule import ADVISORY, MANDATORY, Resource, rule
from strata.policies.crossguard.values import dig, flag, items, known_items, mapping, number, text
from strata.policies.rules.kubernetes.objects import (
    IS_WORKLOAD,
    Container,
    Pod,
    each_container,
    each_pod,
)

BASELINE = "PodSecurity baseline"
RESTRICTED = "PodSecurity restricted"

DEFAULT_CAPABILITIES = frozenset(
    {"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD"}
    | {"NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"}
)
VOLUME_KINDS = frozenset(
    {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image"}
    | {"persistentVolumeClaim", "projected", "secret"}
)
SELINUX_TYPES = frozenset(
    {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
)
SAFE_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_wmem",
    }
)
APPARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/"


def contexts(pod: Pod, container: Container, *keys: str) -> tuple[Any, Any]:
    """The same field of the container's and of the pod's securityContext."""
    return container.security(*keys), dig(pod.spec.get("securityContext"), *keys)


@rule(
    slug="host-ns",
    title="A pod shares no namespace with its node.",
    stops="`hostNetwork`, `hostPID` and `hostIPC`: seeing and reaching what runs on the node.",
    comply="Remove the field.",
    benchmark=(BASELINE, "CIS-EKS 4.2.2", "CIS-EKS 4.2.3", "CIS-EKS 4.2.4", "C-0038", "C-0041"),
    severity="critical",
    development=MANDATORY,
    production=MANDATORY,
    accepts=IS_WORKLOAD,
)
def host_ns(resource: Resource, judge: Judge) -> None:
    """None of the three."""

    def look(pod: Pod) -> None:
        for name in ("hostNetwork", "hostPID", "hostIPC"):
            with judge:
                if flag(pod.spec.get(name)):
                    judge.violation(name, f"{pod.where}.{name} is true")

    each_pod(resource, judge, look)


@rule(
    slug="privileged",
    title="No container is privileged.",
    stops="A container with every capability and device of its node.",
    comply="Remove `securityContext.privileged`.",
    benchmark=(BASELINE, "CIS-EKS 4.2.1", "C-0057"),
    severity="critical",
    development=MANDATORY,
    production=MANDATORY,
    accepts=IS_WORKLOAD,
)
def privileged(resource: Resource, judge: Judge) -> None:
    """Not privileged."""

    def look(_pod: Pod, container: Container) -> None:
        if flag(container.security("privileged")):
            judge.violation("privileged", f"{container.where} is privileged")

    each_container(resource, judge, look)


@rule(
    slug="host-path",
    title="No pod mounts a folder of its node.",
    stops="Reading and writing the node's files.",
    comply="Use a claim, or a projected, secret, configMap or emptyDir volume.",
    benchmark=(BASELINE, "C-0048", "C-0045"),
    severity="critical",
    development=MANDATORY,
    production=MANDATORY,
    accepts=IS_WORKLOAD,
)
def host_path(resource: Resource, judge: Judge) -> None:
    """No hostPath volume."""

    def look(pod: Pod) -> None:
        for index, volume in enumerate(items(pod.spec.get("volumes"))):
            with judge:
                if mapping(volume).get("hostPath") is not None:
                    judge.violation("volume", f"{pod.where}.volumes[{index}] is a hostPath")

    each_pod(resource, judge, look)


@rule(
    slug="host-port",
    title="No container takes a port of its node.",
    stops="A port that is reachable past every Service and NetworkPolicy.",
    comply="Remove `hostPort` and use a Service.",
    benchmark=(BASELINE, "C-0044"),
    severity="high",
    development=ADVISORY,
    production=MANDATORY,
    accepts=IS_WORKLOAD,
)
def host_port(resource: Resource, judge: Judge) -> None:
    """No port of the node."""

    def look(_pod: Pod, container: Container) -> None:
        for index, port in enumerate(items(container.body.get("ports"))):
            with judge:
                if number(dig(port, "hostPort")):
                    judge.violation("port", f"{container.where}.ports[{index}] takes a host port")

    each_container(resource, judge, look)


@rule(
    slug="host-process",
    title="No Windows container runs as a process of its node.",
    stops="Privileged access to a Windows node.",
    comply="Remove `windowsOptions.hostProcess`.",
    benchmark=(BASELINE,),
    severity="critical",
    development=ADVISORY,
    production=MANDATORY,
    accepts=IS_WORKLOAD,
)
def host_process(resource: Resource, judge: Judge) -> None:
    """Neither the pod nor a container."""

    def look_at_pod(pod: Pod) -> None:
        if flag(dig(pod.spec.get("securityContext"), "windowsOptions", "hostProcess")):
            judge.violation("pod", f"{pod.where}.securityContext asks for a host process")

    def look(_pod: Pod, container: Container) -> None:
        if flag(container.security("windowsOptions", "hostProcess")):
            judge.violation("container", f"{container.where} asks for a host process")

    each_pod(resource, judge, look_at_pod)
    each_container(resource, judge, look)


@rule(
    slug="volume-kinds",
    title="A pod mounts only volumes that need no trust in the pod.",
    stops="NFS, iSCSI and other volumes that a pod could point anywhere.",
    comply="Use a PersistentVolumeClaim, and let a StorageClass or PersistentVolume say where.",
    benchmark=(RESTRICTED,),
    severity="medium",
    development=ADVISORY,
    production=MANDATORY,
    accepts=IS_WORKLOAD,
)
def volume_kinds(resource: Resource, judge: Judge) -> None:
    """Only the kinds that the restricted profile lists."""

    def look(pod: Pod) -> None:
        for index, volume in enumerate(items(pod.spec.get("volumes"))):
            with judge:
                present = {key for key, value in mapping(volume).items() if value is not None}
                present.discard("name")
                # A volume of no kind at all is an emptyDir.
                if present and not present & VOLUME_KINDS:
                    judge.violation("kind", f"{pod.where}.volumes[{index}] is of another kind")

    each_pod(resource, judge, look)


@rule(
    slug="no-priv-esc",
    title="No process can gain more privilege than its parent.",
    stops="Becoming root through a set-uid program in the image.",
    comply="Set `securityContext.allowPrivilegeEscalation: false` on each container.",
    benchmark=(RESTRICTED, "CIS-EKS 4.2.5", "C-0016"),
    severity="high",
    development=ADVISORY,
    production=MANDATORY,
    accepts=IS_WORKLOAD,
)
def no_priv_esc(resource: Resource, judge: Judge) -> None:
    """Stated, and false: the field's absence means true."""

    def look(pod: Pod, container: Container) -> None:
        escalation = container.security("allowPrivilegeEscalation")
        if not pod.windows and (escalation is None or flag(escalation)):
            judge.violation("allowed", f"{container.where} may gain privileges")

    each_container(resource, judge, look)


@rule(
    slug="non-root",
    title="No container runs as root.",
    stops="A process that is root on the node as soon as it leaves the container.",
    comply="Set `runAsNonRoot: true`, on the pod or on each container, and no `runAsUser: 0`.",
    benchmark=(RESTRICTED, "CIS-EKS 4.2.6", "C-0013"),
    severity="high",
    development=ADVISORY,
    production=MANDATORY,
    accepts=IS_WORKLOAD,
)
def non_root(resource: Resource, judge: Judge) -> None:
    """runAsNonRoot holds for each container and is nowhere false; no user is 0.

    In a user namespace of its own (``hostUsers: false``) a pod's root is nobody on the node.
    """

    def look_at_pod(pod: Pod) -> None:
        if pod.own_user_namespace:
            return
        stated = dig(pod.spec.get("securityContext"), "runAsNonRoot")
        with judge:
            if stated is not None and not flag(stated):
                judge.violation("pod", f"{pod.where}.securityContext.runAsNonRoot is false")
        user = dig(pod.spec.get("securityContext"), "runAsUser")
        if user is not None and number(user) == 0:
            judge.violation("pod-user", f"{pod.where}.securityContext.runAsUser is root")

    def look(pod: Pod, container: Container) -> None:
        if pod.own_user_namespace:
            return
        own, of_pod = contexts(pod, container, "runAsNonRoot")
        with judge:
            if not flag(of_pod if own is None else own):
                judge.violation("container", f"{container.where} may run as root")
        user = container.security("runAsUser")
        if user is not None and number(user) == 0:
            judge.violation("user", f"{container.where}.securityContext.runAsUser is root")

    each_pod(resource, judge, look_at_pod)
    each_container(resource, judge, look)


@rule(
    slug="seccomp",
    title="Every container has the runtime's system call filter, or one of its own.",
    stops="System calls that no service needs and that break out of containers.",
    comply="Set `securityContext.seccompProfile: {type: RuntimeDefault}` on the pod.",
    benchmark=(RESTRICTED, "C-0210", "CIS-EKS 4.6.2"),
    severity="medium",
    development=ADVISORY,
    production=MANDATORY,
    accepts=IS_WORKLOAD,
)
def seccomp(resource: Resource, judge: Judge) -> None:
    """RuntimeDefault or Localhost for each container, and nowhere anything else."""
    allowed = {"RuntimeDefault", "Localhost"}

    def look_at_pod(pod: Pod) -> None:
        profile = dig(pod.spec.get("securityContext"), "seccompProfile")
        if not pod.windows and profile is not None and text(dig(profile, "type")) not in allowed:
            judge.violation("pod", f"{pod.where}.securityContext.seccompProfile is another")

    def look(pod: Pod, container: Container) -> None:
        if pod.windows:
            return
        own, of_pod = contexts(pod, container, "seccompProfile")
        if own is not None:
            if text(dig(own, "type")) not in allowed:
                judge.violation("container", f"{container.where} has another seccompProfile")
        elif of_pod is None or text(dig(of_pod, "type")) not in allowed:
            judge.violation("absent", f"{container.where} has no seccompProfile")

    each_pod(resource, judge, look_at_pod)
    each_container(resource, judge, look)


@rule(
    slug="caps",
    title="Every container drops all capabilities, and adds at most NET_BIND_SERVICE.",
    stops="Powers of root that a service does not need.",
    comply='Set `securityContext.capabilities: {drop: ["ALL"]}` on each container.',
    benchmark=(RESTRICTED, "CIS-EKS 4.2.7", "C-0046"),
    severity="high",
    development=ADVISORY,
    production=MANDATORY,
    accepts=IS_WORKLOAD,
)
def caps(resource: Resource, judge: Judge) -> None:
    """Drops ALL; adds nothing else. Kubernetes takes the names in capitals only."""

    def look(pod: Pod, container: Container) -> None:
        with judge:
            for index, name in enumerate(items(container.security("capabilities", "add"))):
                with judge:
                    where = f"{container.where}.securityContext.capabilities.add[{index}]"
                    if text(name) not in DEFAULT_CAPABILITIES:
                        judge.violation("dangerous", f"{where} is beyond even the default set")
                    elif text(name) != "NET_BIND_SERVICE" and not pod.windows:
                        judge.violation("add", f"{where} is not NET_BIND_SERVICE")
        drops = container.security("capabilities", "drop")
        if pod.windows or any(text(name) == "ALL" for name in known_items(drops)):
            return
        for name in items(drops):
            text(name)  # an unknown one could be ALL
        judge.violation("drop", f"{container.where} does not drop ALL capabilities")

    each_container(resource, judge, look)


@rule(
    slug="apparmor",
    title="No container leaves its AppArmor profile.",
    stops="Switching off the node's AppArmor confinement, by field or by annotation.",
    comply="Remove the profile, or set it to RuntimeDefault or Localhost.",
    benchmark=(BASELINE,),
    severity="high",
    development=ADVISORY,
    production=MANDATORY,
    accepts=IS_WORKLOAD,
)
def apparmor(resource: Resource, judge: Judge) -> None:
    """RuntimeDefault or Localhost where a profile is named."""
    allowed = {"RuntimeDefault", "Localhost"}

    def look_at_pod(pod: Pod) -> None:
        with judge:
            profile = dig(pod.spec.get("securityContext"), "appArmorProfile")
            if profile is not None and text(dig(profile, "type")) not in allowed:
                judge.violation("pod", f"{pod.where}.securityContext.appArmorProfile is another")
        for key, value in mapping(dig(pod.metadata, "annotations")).items():
            with judge:
                if key.startswith(APPARMOR_ANNOTATION) and not (
                    text(value) in {"", "runtime/default"} or text(value).startswith("localhost/")
                ):
                    judge.violation("annotation", "an annotation names another AppArmor profile")

    def look(_pod: Pod, container: Container) -> None:
        profile = container.security("appArmorProfile")
        if profile is not None and text(dig(profile, "type")) not in allowed:
            judge.violation("container", f"{container.where} has another appArmorProfile")

    each_pod(resource, judge, look_at_pod)
    each_container(resource, judge, look)


@rule(
    slug="selinux",
    title="No container names an SELinux user or role, or a type beyond the usual.",
    stops="Choosing a label under which more of the node is open.",
    comply="Remove `seLinuxOptions`, or keep to the types container_t, container_init_t, "
    "container_kvm_t and container_engine_t.",
    benchmark=(BASELINE,),
    severity="high",
    development=ADVISORY,
    production=MANDATORY,
    accepts=IS_WORKLOAD,
)
def selinux(resource: Resource, judge: Judge) -> None:
    """Type from the list, no user, no role."""

    def check(options: Any, where: str) -> None:
        with judge:
            if text(dig(options, "type")) not in SELINUX_TYPES:
                judge.violation("type", f"{where} names another SELinux type")
        for name in ("user", "role"):
            with judge:
                if text(dig(options, name)):
                    judge.violation(name, f"{where} names an SELinux {name}")

    def look(_pod: Pod, container: Container) -> None:
        check(container.security("seLinuxOptions"), container.where)

    def look_at_pod(pod: Pod) -> None:
        check(dig(pod.spec.get("securityContext"), "seLinuxOptions"), pod.where)

    each_pod(resource, judge, look_at_pod)
    each_container(resource, judge, look)


@rule(
    slug="proc-mount",
    title="Every container sees /proc as the runtime masks it.",
    stops="Kernel settings of the node laid open.",
    comply="Remove `securityContext.procMount`.",
    benchmark=(BASELINE,),
    severity="high",
    development=ADVISORY,
    production=MANDATORY,
    accepts=IS_WORKLOAD,
)
def proc_mount(resource: Resource, judge: Judge) -> None:
    """Absent or Default. Only the baseline profile allows more to pods in a user namespace."""

    def look(pod: Pod, container: Container) -> None:
        if text(container.security("procMount")) not in {"", "Default"}:
            clause = "own-users" if pod.own_user_namespace else "unmasked"
            judge.violation(clause, f"{container.where} unmasks /proc")

    each_container(resource, judge, look)


@rule(
    slug="sysctls",
    title="A pod sets only kernel parameters that are its own.",
    stops="Kernel parameters that hold for the whole node.",
    comply="Remove the parameter, or set it on the node.",
    benchmark=(BASELINE,),
    severity="high",
    development=ADVISORY,
    production=MANDATORY,
    accepts=IS_WORKLOAD,
)
def sysctls(resource: Resource, judge: Judge) -> None:
    """Names from the list of safe ones."""

    def look(pod: Pod) -> None:
        settings = dig(pod.spec.get("securityContext"), "sysctls")
        for index, one in enumerate(items(settings)):
            with judge:
                if text(dig(one, "name")) not in SAFE_SYSCTLS:
                    where = f"{pod.where}.securityContext.sysctls[{index}]"
                    judge.violation("unsafe", f"{where} is not a safe one")

    each_pod(resource, judge, look)


@rule(
    slug="probe-host",
    title="Probes and hooks ask the pod itself.",
    stops="Using the kubelet to reach other hosts from the node's network.",
    comply="Remove `host` from httpGet and tcpSocket.",
    benchmark=(BASELINE,),
    severity="medium",
    development=ADVISORY,
    production=MANDATORY,
    accepts=IS_WORKLOAD,
)
def probe_host(resource: Resource, judge: Judge) -> None:
    """No host in any probe or life cycle hook."""

    def look(_pod: Pod, container: Container) -> None:
        hooks = [("lifecycle", name) for name in ("postStart", "preStop")]
        probes = [(name,) for name in ("livenessProbe", "readinessProbe", "startupProbe")]
        for path in [*probes, *hooks]:
            for action in ("httpGet", "tcpSocket"):
                with judge:
                    if text(dig(container.body, *path, action, "host")):
                        judge.violation("host", f"{container.where}.{'.'.join(path)} names a host")

    each_container(resource, judge, look)
