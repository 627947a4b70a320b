"""What a container may do on its host: privileges, capabilities, confinement, user, namespaces."""

from strata.policies.crossguard.judge import Judge, Resource
from strata.policies.crossguard.rule import MANDATORY, setting
from strata.policies.crossguard.values import dig, flag, items, known_items, text
from strata.policies.rules.docker import facts
from strata.policies.rules.docker.container import container_rule, process_rule


def capability(value: object) -> str:
    """A capability's name. Docker accepts any case, with or without `CAP_`."""
    return text(value).strip().upper().removeprefix("CAP_")


@container_rule(
    title="A container is not privileged.",
    risk="`privileged: true` gives the container every capability and device of the host.",
    fix="Remove `privileged`. Add the one capability or device that is needed, with its reason.",
    references=("CIS-Docker 5.5", "C-0057"),
    severity="critical",
)
def no_privileged(container: Resource, judge: Judge) -> None:
    if flag(container.get("privileged")):
        judge.violation("privileged", "privileged is true")


@process_rule(
    title="A container drops all capabilities and adds only those on the allow-list.",
    risk="By default Docker grants fourteen capabilities. Most services need none.",
    fix='Set `capabilities: {drops: ["ALL"]}`. Add back what the program needs, and add it to the allow-list or exempt '
    "the container with the reason.",
    references=("CIS-Docker 5.4", "C-0046"),
    severity="high",
    settings={
        "allowed": setting(["NET_BIND_SERVICE"], "Capabilities that may be added, without `CAP_`.")
    },
)
def caps(container: Resource, judge: Judge) -> None:
    with judge:
        drops = dig(container.get("capabilities"), "drops")
        if "ALL" not in {capability(name) for name in known_items(drops)}:
            for name in items(drops):
                capability(name)  # an unknown item could be ALL
            judge.violation("drops", "capabilities.drops does not include ALL")
    with judge:
        allowed = {capability(name) for name in judge.settings["allowed"]}
        for name, where in container.each("capabilities", "adds"):
            with judge:
                if capability(name) not in allowed | facts.ESCAPE_CAPABILITIES:
                    judge.violation("adds", f"{where} is not on the allow-list")


@container_rule(
    title="A container has no capability that amounts to root on the host.",
    risk="ALL, SYS_ADMIN, SYS_MODULE, SYS_PTRACE and DAC_READ_SEARCH each allow an escape to the host.",
    fix="Remove the capability. Run a program that needs it on a machine of its own.",
    references=("CIS-Docker 5.4", "C-0046"),
    severity="critical",
)
def caps_never(container: Resource, judge: Judge) -> None:
    for name, where in container.each("capabilities", "adds"):
        with judge:
            if capability(name) in facts.ESCAPE_CAPABILITIES:
                judge.violation("adds", f"{where} amounts to root on the host")


@process_rule(
    title="A process can't gain privileges through a setuid program.",
    risk="A process becomes root through a setuid program in its image.",
    fix='Set `securityOpts: ["no-new-privileges:true"]`.',
    references=("CIS-Docker 5.26", "C-0016"),
    severity="high",
)
def no_new_privs(container: Resource, judge: Judge) -> None:
    options = container.get("securityOpts")
    states = {text(option).strip().lower().replace("=", ":") for option in known_items(options)}
    if "no-new-privileges:false" in states:
        judge.violation("off", "securityOpts disables no-new-privileges")
    elif not states & {"no-new-privileges", "no-new-privileges:true"}:
        for option in items(options):
            text(option)  # an unknown item could be the option
        judge.violation("absent", "securityOpts does not include no-new-privileges:true")


@container_rule(
    title="A container keeps its seccomp, AppArmor and SELinux confinement.",
    risk="Without the kernel's filters, more system calls and files of the host are reachable.",
    fix="Remove the option, or specify your own profile.",
    references=("CIS-Docker 5.2", "CIS-Docker 5.3", "CIS-Docker 5.22"),
    severity="critical",
)
def no_unconfined(container: Resource, judge: Judge) -> None:
    for option, where in container.each("securityOpts"):
        with judge:
            name, _, value = text(option).strip().lower().replace("=", ":").partition(":")
            if name in {"seccomp", "apparmor", "systempaths"} and value == "unconfined":
                judge.violation(name, f"{where} disables {name} confinement")
            if name == "label" and value == "disable":
                judge.violation("label", f"{where} disables SELinux confinement")


@process_rule(
    title="A container's root filesystem is read-only.",
    risk="An intruder installs tools, and the program writes data where no backup finds it.",
    fix="Set `readOnly: true`. Mount a named volume or a tmpfs where the program writes.",
    references=("CIS-Docker 5.13", "C-0017"),
    severity="medium",
)
def readonly_root(container: Resource, judge: Judge) -> None:
    judge.require(container, "writable", "readOnly", "true")


@process_rule(
    title="A container does not run as root.",
    risk="A process that escapes from the container is root on the host.",
    fix="Set `user` to a number other than 0, such as `10001:10001`, even if the image sets one.",
    references=("CIS-Docker 4.1", "C-0013"),
    severity="high",
)
def non_root(container: Resource, judge: Judge) -> None:
    user = text(container.get("user")).strip().partition(":")[0]
    if not user:
        judge.violation("unset", "user is not set")
    elif user.lower() == "root" or (user.isdecimal() and int(user) == 0):
        judge.violation("root", "user is root")


@container_rule(
    title="A container shares no namespace with its host.",
    risk="The container sees the host's processes, shared memory, network or users.",
    fix="Remove `host` from networkMode, pidMode, ipcMode and usernsMode.",
    references=("CIS-Docker 5.10", "CIS-Docker 5.16", "CIS-Docker 5.17", "CIS-Docker 5.31"),
    severity="critical",
)
def no_host_ns(container: Resource, judge: Judge) -> None:
    for mode in ("networkMode", "pidMode", "ipcMode", "usernsMode"):
        with judge:
            if text(container.get(mode)).strip().lower() == "host":
                judge.violation(mode, f"{mode} is host")
    for network, where in container.each("networksAdvanced"):
        with judge:
            if text(dig(network, "name")).strip().lower() == "host":
                judge.violation("network", f"{where} is the host network")


@container_rule(
    title="A container stays in the cgroup that Docker gives it.",
    risk="In another cgroup the limits of all containers don't apply.",
    fix="Remove `cgroupParent`, or add the cgroup to the allow-list.",
    references=("CIS-Docker 5.25",),
    severity="medium",
    dev_level=MANDATORY,
    settings={"allowed": setting([], "Parent cgroups that pass.")},
)
def cgroup_parent(container: Resource, judge: Judge) -> None:
    parent = text(container.get("cgroupParent"))
    if parent and parent not in judge.settings["allowed"]:
        judge.violation("parent", "cgroupParent is not on the allow-list")
