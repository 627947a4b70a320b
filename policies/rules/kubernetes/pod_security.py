"""The restricted profile of Pod Security, one rule per check of the API server.

The checks are those of k8s.io/pod-security-admission for version 1.35; the tests compare them with
its fixtures.
"""

from strata.policies.crossguard.judge import Judge
from strata.policies.crossguard.rule import ADVISORY
from strata.policies.crossguard.values import dig, flag, items, known_items, mapping, number, text
from strata.policies.rules.kubernetes import facts
from strata.policies.rules.kubernetes.objects import annotations
from strata.policies.rules.kubernetes.pods import (
    Container,
    Pod,
    container_rule,
    pod_rule,
    security_context_rule,
)


@pod_rule(
    title="A pod shares no namespace with its node.",
    risk="With `hostNetwork`, `hostPID` or `hostIPC`, a pod sees and reaches what runs on the node.",
    fix="Remove the field.",
    references=(
        facts.BASELINE,
        "CIS-EKS 4.2.2",
        "CIS-EKS 4.2.3",
        "CIS-EKS 4.2.4",
        "C-0038",
        "C-0041",
    ),
    severity="critical",
)
def host_ns(pod: Pod, judge: Judge) -> None:
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        with judge:
            if flag(pod.spec.get(name)):
                judge.violation(name, f"{pod.where}.{name} is true")


@container_rule(
    title="No container is privileged.",
    risk="A privileged container has every capability and device of its node.",
    fix="Remove `securityContext.privileged`.",
    references=(facts.BASELINE, "CIS-EKS 4.2.1", "C-0057"),
    severity="critical",
)
def privileged(container: Container, judge: Judge) -> None:
    if flag(container.security("privileged")):
        judge.violation("privileged", f"{container.where}.securityContext.privileged is true")


@pod_rule(
    title="No pod mounts a folder of its node.",
    risk="The pod reads and writes files of the node.",
    fix="Use a PersistentVolumeClaim, or a projected, secret, configMap or emptyDir volume.",
    references=(facts.BASELINE, "C-0048", "C-0045"),
    severity="critical",
)
def host_path(pod: Pod, judge: Judge) -> None:
    for volume, where in pod.each("volumes"):
        with judge:
            if mapping(volume).get("hostPath") is not None:
                judge.violation("volume", f"{where} is a hostPath")


@container_rule(
    title="No container uses a port of its node.",
    risk="The port bypasses every Service and NetworkPolicy.",
    fix="Remove `hostPort`, and create a Service.",
    references=(facts.BASELINE, "C-0044"),
    severity="high",
)
def host_port(container: Container, judge: Judge) -> None:
    for port, where in container.each("ports"):
        with judge:
            if number(dig(port, "hostPort")):
                judge.violation("port", f"{where}.hostPort is set")


@security_context_rule(
    title="No Windows container runs as a process of its node.",
    risk="The container has privileged access to a Windows node.",
    fix="Remove `windowsOptions.hostProcess`.",
    references=(facts.BASELINE,),
    severity="critical",
    dev_level=ADVISORY,
)
def host_process(target: Pod | Container, judge: Judge) -> None:
    if flag(target.security("windowsOptions", "hostProcess")):
        where = f"{target.where}.securityContext.windowsOptions.hostProcess"
        judge.violation(target.level, f"{where} is true")


@pod_rule(
    title="A pod mounts only the volume types of the restricted profile.",
    risk="With NFS, iSCSI and other types, the pod itself chooses which server or disk it mounts.",
    fix="Use a PersistentVolumeClaim, and choose the storage in a StorageClass or PersistentVolume.",
    references=(facts.RESTRICTED,),
    severity="medium",
)
def volume_kinds(pod: Pod, judge: Judge) -> None:
    """A volume without a type is an emptyDir."""
    for volume, where in pod.each("volumes"):
        with judge:
            present = {key for key, value in mapping(volume).items() if value is not None}
            present.discard("name")
            if present and not present & facts.VOLUME_KINDS:
                judge.violation("kind", f"{where} has a forbidden type")


@container_rule(
    title="No process gains more privileges than its parent.",
    risk="A process becomes root through a setuid program in the image.",
    fix="Set `securityContext.allowPrivilegeEscalation: false` on each container.",
    references=(facts.RESTRICTED, "CIS-EKS 4.2.5", "C-0016"),
    severity="high",
)
def no_priv_esc(container: Container, judge: Judge) -> None:
    """The default is true."""
    escalation = container.security("allowPrivilegeEscalation")
    if not container.pod.is_windows and (escalation is None or flag(escalation)):
        where = f"{container.where}.securityContext.allowPrivilegeEscalation"
        judge.violation("allowed", f"{where} is not false")


@security_context_rule(
    title="No container runs as root.",
    risk="A process that escapes from the container is root on the node.",
    fix="Set `runAsNonRoot: true` on the pod or on each container, and no `runAsUser: 0`.",
    references=(facts.RESTRICTED, "CIS-EKS 4.2.6", "C-0013"),
    severity="high",
)
def non_root(target: Pod | Container, judge: Judge) -> None:
    """The field must be true for every container, and false nowhere."""
    if target.pod.has_user_namespace:
        return
    where = f"{target.where}.securityContext"
    with judge:
        stated = target.security("runAsNonRoot")
        if isinstance(target, Container):
            if not flag(target.effective("runAsNonRoot")):
                judge.violation("container", f"{where}.runAsNonRoot is not true")
        elif stated is not None and not flag(stated):
            judge.violation("pod", f"{where}.runAsNonRoot is false")
    user = target.security("runAsUser")
    if user is not None and number(user) == 0:
        judge.violation("pod-user" if target is target.pod else "user", f"{where}.runAsUser is 0")


@security_context_rule(
    title="Every container has the runtime's seccomp profile, or its own.",
    risk="The container can make system calls that no service needs and that exploits use to escape.",
    fix="Set `securityContext.seccompProfile: {type: RuntimeDefault}` on the pod.",
    references=(facts.RESTRICTED, "C-0210", "CIS-EKS 4.6.2"),
    severity="medium",
)
def seccomp(target: Pod | Container, judge: Judge) -> None:
    if target.pod.is_windows:
        return
    where = f"{target.where}.securityContext.seccompProfile"
    own = target.security("seccompProfile")
    if own is not None:
        if text(dig(own, "type")) not in facts.PROFILE_TYPES:
            judge.violation(target.level, f"{where} has a forbidden type")
        return
    inherited = text(dig(target.pod.security("seccompProfile"), "type"))
    if isinstance(target, Container) and inherited not in facts.PROFILE_TYPES:
        judge.violation("absent", f"{where} is not set")


@container_rule(
    title="Every container drops all capabilities and adds at most NET_BIND_SERVICE.",
    risk="The container has powers of root that the service doesn't need.",
    fix='Set `securityContext.capabilities: {drop: ["ALL"]}` on each container.',
    references=(facts.RESTRICTED, "CIS-EKS 4.2.7", "C-0046"),
    severity="high",
)
def caps(container: Container, judge: Judge) -> None:
    """Kubernetes accepts the names in capitals only."""
    with judge:
        for name, where in container.each("securityContext", "capabilities", "add"):
            with judge:
                if text(name) not in facts.DEFAULT_CAPABILITIES:
                    judge.violation("dangerous", f"{where} is not in the default set")
                elif text(name) != "NET_BIND_SERVICE" and not container.pod.is_windows:
                    judge.violation("add", f"{where} is not NET_BIND_SERVICE")
    drops = container.security("capabilities", "drop")
    if container.pod.is_windows or any(text(name) == "ALL" for name in known_items(drops)):
        return
    for name in items(drops):
        text(name)  # an unknown item could be ALL
    where = f"{container.where}.securityContext.capabilities.drop"
    judge.violation("drop", f"{where} does not include ALL")


@security_context_rule(
    title="No container leaves its AppArmor profile.",
    risk="A field or an annotation disables the node's AppArmor confinement.",
    fix="Remove the profile, or set it to RuntimeDefault or Localhost.",
    references=(facts.BASELINE,),
    severity="high",
)
def apparmor(target: Pod | Container, judge: Judge) -> None:
    with judge:
        profile = target.security("appArmorProfile")
        if profile is not None and text(dig(profile, "type")) not in facts.PROFILE_TYPES:
            where = f"{target.where}.securityContext.appArmorProfile"
            judge.violation(target.level, f"{where} has a forbidden type")
    if isinstance(target, Pod):
        for key, value in annotations(target.metadata).items():
            with judge:
                if key.startswith(facts.APPARMOR_ANNOTATION) and not (
                    text(value) in {"", "runtime/default"} or text(value).startswith("localhost/")
                ):
                    judge.violation("annotation", "an annotation sets a forbidden AppArmor profile")


@security_context_rule(
    title="No container sets an SELinux user or role, or an uncommon type.",
    risk="Another label opens more of the node.",
    fix="Remove `seLinuxOptions`, or use one of the types container_t, container_init_t, container_kvm_t and "
    "container_engine_t.",
    references=(facts.BASELINE,),
    severity="high",
)
def selinux(target: Pod | Container, judge: Judge) -> None:
    options = target.security("seLinuxOptions")
    where = f"{target.where}.securityContext.seLinuxOptions"
    with judge:
        if text(dig(options, "type")) not in facts.SELINUX_TYPES:
            judge.violation("type", f"{where}.type is forbidden")
    for name in ("user", "role"):
        with judge:
            if text(dig(options, name)):
                judge.violation(name, f"{where}.{name} is set")


@container_rule(
    title="Every container sees /proc as the runtime masks it.",
    risk="The container sees and changes kernel settings of the node.",
    fix="Remove `securityContext.procMount`.",
    references=(facts.BASELINE,),
    severity="high",
)
def proc_mount(container: Container, judge: Judge) -> None:
    """The baseline profile allows it in a user namespace; the restricted one doesn't."""
    if text(container.security("procMount")) not in {"", "Default"}:
        clause = "own-users" if container.pod.has_user_namespace else "unmasked"
        judge.violation(clause, f"{container.where}.securityContext.procMount is not Default")


@pod_rule(
    title="A pod sets only its own kernel parameters.",
    risk="Other kernel parameters apply to the whole node.",
    fix="Remove the parameter, or set it on the node.",
    references=(facts.BASELINE,),
    severity="high",
)
def sysctls(pod: Pod, judge: Judge) -> None:
    for sysctl, where in pod.each("securityContext", "sysctls"):
        with judge:
            if text(dig(sysctl, "name")) not in facts.SAFE_SYSCTLS:
                judge.violation("unsafe", f"{where} is not safe")


@container_rule(
    title="Probes and hooks query the pod itself.",
    risk="The kubelet sends requests to other hosts from the node's network.",
    fix="Remove `host` from httpGet and tcpSocket.",
    references=(facts.BASELINE,),
    severity="medium",
)
def probe_host(container: Container, judge: Judge) -> None:
    for path in facts.HANDLERS:
        for action in ("httpGet", "tcpSocket"):
            with judge:
                if text(dig(container.body, *path, action, "host")):
                    where = ".".join([container.where, *path, action])
                    judge.violation("host", f"{where}.host is set")
