"""What a container may do on its host: privilege, capabilities, confinement, user, namespaces."""

from __future__ import annotations

from strata.policies.crossguard.judge import Judge
from strata.policies.crossguard.rule import ADVISORY, MANDATORY, Resource, rule, setting
from strata.policies.crossguard.values import dig, flag, items, known_items, text
from strata.policies.rules.docker.container import CONTAINER, never_runs

# Each of these alone is enough to leave the container.
NEVER_CAPABILITIES = frozenset({"ALL", "SYS_ADMIN", "SYS_MODULE", "SYS_PTRACE", "DAC_READ_SEARCH"})


def capability(value: object) -> str:
    """A capability's name as Docker takes it: any case, with or without ``CAP_``."""
    return text(value).strip().upper().removeprefix("CAP_")


@rule(
    slug="no-privileged",
    title="A container is not privileged.",
    stops="`privileged: true` gives the container every capability and device of the host.",
    comply="Remove `privileged`; add the one capability or device that is needed, with its reason.",
    benchmark=("CIS-Docker 5.5", "C-0057"),
    severity="critical",
    development=MANDATORY,
    production=MANDATORY,
    accepts=CONTAINER,
)
def no_privileged(container: Resource, judge: Judge) -> None:
    """Not privileged."""
    if flag(container.get("privileged")):
        judge.violation("privileged", "the container is privileged")


@rule(
    slug="caps",
    title="A container drops all capabilities and adds only those on the allow-list.",
    stops="Docker's default set of fourteen capabilities, most of which no service needs.",
    comply='Set `capabilities: {drops: ["ALL"]}`; add back what the program fails without, and put '
    "it "
    "on the allow-list or exempt the container with the reason.",
    benchmark=("CIS-Docker 5.4", "C-0046"),
    severity="high",
    development=ADVISORY,
    production=MANDATORY,
    accepts=CONTAINER,
    settings={
        "allowed": setting(
            "array", ["NET_BIND_SERVICE"], "Capabilities that may be added, without `CAP_`."
        )
    },
)
def caps(container: Resource, judge: Judge) -> None:
    """Drops ALL, adds from the allow-list."""
    if never_runs(container):
        return
    with judge:
        drops = dig(container.get("capabilities"), "drops")
        if "ALL" not in {capability(name) for name in known_items(drops)}:
            for name in items(drops):
                capability(name)  # an unknown one could be ALL
            judge.violation("drops", "capabilities.drops does not hold ALL")
    with judge:
        allowed = {capability(name) for name in judge.settings["allowed"]}
        for index, name in enumerate(items(dig(container.get("capabilities"), "adds"))):
            with judge:
                if capability(name) not in allowed | NEVER_CAPABILITIES:
                    where = f"capabilities.adds[{index}]"
                    judge.violation("adds", f"{where} is not on the allow-list")


@rule(
    slug="caps-never",
    title="A container never gets a capability that is as good as root on the host.",
    stops="SYS_ADMIN, SYS_MODULE, SYS_PTRACE, DAC_READ_SEARCH and ALL, in any spelling.",
    comply="Remove the capability. A program that needs it needs a machine of its own.",
    benchmark=("CIS-Docker 5.4", "C-0046"),
    severity="critical",
    development=MANDATORY,
    production=MANDATORY,
    accepts=CONTAINER,
)
def caps_never(container: Resource, judge: Judge) -> None:
    """None of the capabilities that leave the container."""
    for index, name in enumerate(items(dig(container.get("capabilities"), "adds"))):
        with judge:
            if capability(name) in NEVER_CAPABILITIES:
                where = f"capabilities.adds[{index}]"
                judge.violation("adds", f"{where} is as good as root on the host")


@rule(
    slug="no-new-privs",
    title="A container cannot gain privileges by running a set-uid program.",
    stops="A process that becomes root through a set-uid program in its image.",
    comply='Set `securityOpts: ["no-new-privileges:true"]`.',
    benchmark=("CIS-Docker 5.26", "C-0016"),
    severity="high",
    development=ADVISORY,
    production=MANDATORY,
    accepts=CONTAINER,
)
def no_new_privs(container: Resource, judge: Judge) -> None:
    """The option is there and on; ``no-new-privileges:false`` is not a pass."""
    if never_runs(container):
        return
    options = container.get("securityOpts")
    states = {text(option).strip().lower().replace("=", ":") for option in known_items(options)}
    if "no-new-privileges:false" in states:
        judge.violation("off", "securityOpts switches no-new-privileges off")
    elif not states & {"no-new-privileges", "no-new-privileges:true"}:
        for option in items(options):
            text(option)  # an unknown one could be it
        judge.violation("absent", "securityOpts does not hold no-new-privileges:true")


@rule(
    slug="no-unconfined",
    title="A container keeps its seccomp, AppArmor and SELinux confinement.",
    stops="Switching off the kernel's filters: `seccomp`, `apparmor` or `systempaths` unconfined, "
    "and "
    "`label` disabled, in the forms with `=` and with `:`.",
    comply="Remove the option, or name a profile of your own.",
    benchmark=("CIS-Docker 5.2", "CIS-Docker 5.3", "CIS-Docker 5.22"),
    severity="critical",
    development=MANDATORY,
    production=MANDATORY,
    accepts=CONTAINER,
)
def no_unconfined(container: Resource, judge: Judge) -> None:
    """No option that switches a confinement off."""
    for index, option in enumerate(items(container.get("securityOpts"))):
        with judge:
            name, _, value = text(option).strip().lower().replace("=", ":").partition(":")
            where = f"securityOpts[{index}]"
            if name in {"seccomp", "apparmor", "systempaths"} and value == "unconfined":
                judge.violation(name, f"{where} switches {name} confinement off")
            if name == "label" and value == "disable":
                judge.violation("label", f"{where} switches SELinux confinement off")


@rule(
    slug="readonly-root",
    title="A container's root file system is read-only.",
    stops="An intruder's tools, and data written where no backup looks.",
    comply="Set `readOnly: true`; give what must be written a named volume or a tmpfs.",
    benchmark=("CIS-Docker 5.13", "C-0017"),
    severity="medium",
    development=ADVISORY,
    production=MANDATORY,
    accepts=CONTAINER,
)
def readonly_root(container: Resource, judge: Judge) -> None:
    """Root is read-only."""
    if not never_runs(container) and not flag(container.get("readOnly")):
        judge.violation("writable", "readOnly is not true")


@rule(
    slug="non-root",
    title="A container does not run as root.",
    stops="A process that is root on the host as soon as it leaves the container.",
    comply="Set `user` to a number other than 0, such as `10001:10001`. State it even if the "
    "image does.",
    benchmark=("CIS-Docker 4.1", "C-0013"),
    severity="high",
    development=ADVISORY,
    production=MANDATORY,
    accepts=CONTAINER,
)
def non_root(container: Resource, judge: Judge) -> None:
    """The user is stated, and is not root."""
    if never_runs(container):
        return
    user = text(container.get("user")).strip().partition(":")[0]
    if not user:
        judge.violation("unset", "user is not set")
    elif user.lower() == "root" or (user.isdecimal() and int(user) == 0):
        judge.violation("root", "user is root")


@rule(
    slug="no-host-ns",
    title="A container shares no namespace with its host.",
    stops="Seeing the host's processes, shared memory, network and users from inside.",
    comply="Remove `host` from networkMode, pidMode, ipcMode and usernsMode.",
    benchmark=("CIS-Docker 5.10", "CIS-Docker 5.16", "CIS-Docker 5.17", "CIS-Docker 5.31"),
    severity="critical",
    development=MANDATORY,
    production=MANDATORY,
    accepts=CONTAINER,
)
def no_host_ns(container: Resource, judge: Judge) -> None:
    """No host namespace, and not the network named host."""
    for mode in ("networkMode", "pidMode", "ipcMode", "usernsMode"):
        with judge:
            if text(container.get(mode)).strip().lower() == "host":
                judge.violation(mode, f"{mode} is the host's")
    for index, network in enumerate(items(container.get("networksAdvanced"))):
        with judge:
            if text(dig(network, "name")).strip().lower() == "host":
                judge.violation("network", f"networksAdvanced[{index}] is the host's network")


@rule(
    slug="cgroup-parent",
    title="A container stays in the control group Docker gives it.",
    stops="Leaving the limits that hold for all containers by naming another control group.",
    comply="Remove `cgroupParent`, or put the group on the allow-list.",
    benchmark=("CIS-Docker 5.25",),
    severity="medium",
    development=MANDATORY,
    production=MANDATORY,
    accepts=CONTAINER,
    settings={"allowed": setting("array", [], "Control groups that may be named.")},
)
def cgroup_parent(container: Resource, judge: Judge) -> None:
    """No control group outside the allow-list."""
    parent = text(container.get("cgroupParent"))
    if parent and parent not in judge.settings["allowed"]:
        judge.violation("parent", "cgroupParent is set and not on the allow-list")
