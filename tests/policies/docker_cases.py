"""The docker-hardening pack: a stack that passes, and what each change to it must bring up."""

from __future__ import annotations

from typing import Any

from strata.policies.rules.docker import PACK
from strata.policies.rules.docker.facts import CONTAINER, IMAGE, NETWORK, VOLUME
from tests.policies.policy_testing import (
    HEX,
    REMOVED,
    UNKNOWN,
    Case,
    Made,
    Suite,
    bad,
    good,
    secret,
    unknown,
)


def labels(**named: str) -> list[dict[str, str]]:
    return [{"label": f"strata.{key}", "value": value} for key, value in named.items()]


def running(**more: Any) -> dict[str, Any]:
    """What every container that runs has."""
    return {
        "image": f"sha256:{HEX}",
        "user": "999:999",
        "readOnly": True,
        "capabilities": {"drops": ["ALL"]},
        "securityOpts": ["no-new-privileges:true"],
        "memory": 256,
        "memorySwap": 256,
        "cpus": "0.5",
        "ulimits": [
            {"name": "nofile", "soft": 1024, "hard": 4096},
            {"name": "nproc", "soft": 256, "hard": 512},
        ],
        "logDriver": "json-file",
        "logOpts": {"max-size": "10m", "max-file": "3"},
        "networkMode": "bridge",
        "networksAdvanced": [{"name": "strata-backend", "aliases": ["one"]}],
        "healthcheck": {"tests": ["CMD", "check", "--ready"], "interval": "5s", "retries": 3},
        "restart": "unless-stopped",
        "stopTimeout": 30,
        "destroyGraceSeconds": 30,
        "envs": ["NVIDIA_VISIBLE_DEVICES=void", "LOG_LEVEL=info"],
        **more,
    }


FIXTURE = {
    "backend": Made(NETWORK, {"name": "strata-backend", "internal": True}),
    "edge": Made(NETWORK, {"name": "strata-edge"}),
    "data": Made(VOLUME, {"name": "strata-data", "labels": labels(backup="nightly")}, protect=True),
    "files": Made(VOLUME, {"name": "strata-files"}),
    "pulled": Made(IMAGE, {"name": f"postgres:17@sha256:{HEX}"}),
    "web": Made(
        CONTAINER,
        running(
            labels=labels(kind="application", service="web"),
            ports=[{"ip": "127.0.0.1", "internal": 8080, "external": 8080}],
            networksAdvanced=[{"name": "strata-backend"}, {"name": "strata-edge"}],
            mounts=[
                {"type": "volume", "source": "strata-files", "target": "/run/secrets"},
                {"type": "tmpfs", "target": "/tmp"},
            ],
        ),
        made_of={"networksAdvanced": ["backend", "edge"], "mounts": ["files"]},
    ),
    "database": Made(
        CONTAINER,
        running(
            labels=labels(kind="datastore", service="database"),
            mounts=[{"type": "volume", "source": "strata-data", "target": "/var/lib/data"}],
            envs=["NVIDIA_VISIBLE_DEVICES=void", "POSTGRES_PASSWORD_FILE=/run/secrets/password"],
        ),
        made_of={"networksAdvanced": ["backend"], "mounts": ["data"], "image": ["pulled"]},
    ),
    "trainer": Made(
        CONTAINER,
        running(
            labels=[
                *labels(kind="application", service="trainer", tenant="one"),
                {"label": "strata.gpu.toolkit", "value": "1.17.8"},
            ],
            envs=["LOG_LEVEL=info"],
            deviceRequests=[{"driver": "nvidia", "capabilities": ["gpu"], "deviceIds": ["GPU-1"]}],
        ),
        made_of={"networksAdvanced": ["backend"]},
    ),
    "metrics": Made(
        CONTAINER,
        running(labels=labels(kind="application", service="prometheus")),
        made_of={"networksAdvanced": ["backend"]},
    ),
    "job": Made(
        CONTAINER,
        {
            key: value
            for key, value in running(
                labels=labels(kind="application"), mustRun=False, restart="no"
            ).items()
            if key != "healthcheck"
        },
        made_of={"networksAdvanced": ["backend"]},
    ),
    # Carries files into a volume and is never started: rules about a process do not apply to it.
    "writer": Made(
        CONTAINER,
        {
            "image": f"sha256:{HEX}",
            "start": False,
            "mustRun": False,
            "networkMode": "none",
            "labels": labels(kind="files"),
            "mounts": [{"type": "volume", "source": "strata-files", "target": "/files"}],
            "uploads": [{"file": "/files/password", "content": secret("never shown")}],
        },
        made_of={"mounts": ["files"]},
    ),
}

# What fills a volume for another, and ends before the other is made.
WRITES_FILES = {"type": "volume", "source": "strata-files", "target": "/files"}
PREPARES = {
    "job:mounts": [WRITES_FILES],
    "web:mounts[0]": WRITES_FILES,
    "web:after": ["database", "job"],
}
MADE_OF = {"networksAdvanced": ["backend"], "mounts": ["data"]}
OTHER_REGISTRY = f"registry.example/team/app@sha256:{HEX}"

PRIVILEGES = [
    bad("no-privileged/privileged@web")({"web:privileged": True}),
    bad("no-privileged/privileged@writer", name="never runs")({"writer:privileged": True}),
    good({"web:privileged": False}),
    unknown("web:privileged", "no-privileged@web"),
    bad("caps/drops@web")({"web:capabilities.drops": ["NET_RAW"]}),
    bad("caps/drops@web")({"web:capabilities": REMOVED}),
    bad("caps/adds@web")({"web:capabilities.adds": ["CHOWN"]}),
    bad("caps/drops@web caps/adds@web")({"web:capabilities": {"adds": ["CAP_CHOWN"]}}),
    good({"web:capabilities.drops": ["all"]}),
    good({"web:capabilities.drops": ["CAP_ALL"]}),
    good({"web:capabilities.adds": ["cap_net_bind_service"]}),
    good({"web:capabilities.adds": ["Chown"]}, {"caps": {"allowed": ["CHOWN"]}}),
    unknown("web:capabilities", "caps@web caps-never@web"),
    unknown("web:capabilities.drops[0]", "caps@web"),
    good({"web:capabilities.drops": [UNKNOWN, "ALL"]}),
    unknown(
        "web:capabilities.adds[0]",
        "caps@web caps-never@web",
        "caps/adds@web",
        change={"web:capabilities.adds": [UNKNOWN, "CHOWN"]},
    ),
    *[
        bad("caps-never/adds@web")({"web:capabilities.adds": [name]})
        for name in ("SYS_ADMIN", "cap_sys_module", "SYS_PTRACE", "DAC_READ_SEARCH", "all")
    ],
    bad("caps-never/adds@writer", name="never runs")({"writer:capabilities.adds": ["SYS_ADMIN"]}),
    bad("no-new-privs/absent@web")({"web:securityOpts": REMOVED}),
    bad("no-new-privs/absent@web")({"web:securityOpts": ["seccomp=profile.json"]}),
    bad("no-new-privs/off@web")({"web:securityOpts[0]": "no-new-privileges:false"}),
    bad("no-new-privs/off@web")({"web:securityOpts[1]": "no-new-privileges=false"}),
    good({"web:securityOpts[0]": "no-new-privileges"}),
    good({"web:securityOpts[0]": "no-new-privileges=true"}),
    unknown("web:securityOpts", "no-new-privs@web no-unconfined@web"),
    unknown("web:securityOpts[1]", "no-unconfined@web", change={}),
    unknown("web:securityOpts[0]", "no-new-privs@web no-unconfined@web"),
    *[
        bad(f"no-unconfined/{option.split(mark)[0]}@web")({"web:securityOpts[1]": option})
        for option, mark in (
            ("seccomp=unconfined", "="),
            ("seccomp:unconfined", ":"),
            ("apparmor=unconfined", "="),
            ("apparmor:unconfined", ":"),
            ("systempaths=unconfined", "="),
            ("label=disable", "="),
            ("label:disable", ":"),
        )
    ],
    bad("no-unconfined/seccomp@writer")({"writer:securityOpts": ["SECCOMP=UNCONFINED"]}),
    good({"web:securityOpts[1]": "label=type:container_t"}),
    good({"web:securityOpts[1]": "apparmor=unconfined-but-named"}),
    bad("readonly-root/writable@web")({"web:readOnly": False}),
    bad("readonly-root/writable@web")({"web:readOnly": REMOVED}),
    unknown("web:readOnly", "readonly-root@web"),
    bad("non-root/unset@web")({"web:user": REMOVED}),
    bad("non-root/unset@web")({"web:user": ":999"}),
    bad("non-root/root@web")({"web:user": "root"}),
    bad("non-root/root@web")({"web:user": "Root:999"}),
    bad("non-root/root@web")({"web:user": "0:0"}),
    bad("non-root/root@web")({"web:user": "000"}),
    good({"web:user": "postgres"}),
    unknown("web:user", "non-root@web"),
    bad("no-host-ns/networkMode@web")({"web:networkMode": "host"}),
    bad("no-host-ns/pidMode@web")({"web:pidMode": "host"}),
    bad("no-host-ns/ipcMode@web")({"web:ipcMode": "Host"}),
    bad("no-host-ns/usernsMode@web")({"web:usernsMode": "host"}),
    bad("no-host-ns/usernsMode@writer")({"writer:usernsMode": "host"}),
    bad("no-host-ns/network@web")({"web:networksAdvanced[2]": {"name": "host"}}),
    good({"web:ipcMode": "private"}),
    unknown("web:pidMode", "no-host-ns@web"),
    unknown(
        "web:pidMode", "no-host-ns@web", "no-host-ns/ipcMode@web", change={"web:ipcMode": "host"}
    ),
    bad("cgroup-parent/parent@web")({"web:cgroupParent": "/system.slice"}),
    good({"web:cgroupParent": "/mine"}, {"cgroup-parent": {"allowed": ["/mine"]}}),
    unknown("web:cgroupParent", "cgroup-parent@web"),
]


def bind(path: str) -> dict[str, Any]:
    return {"type": "bind", "source": path, "target": "/inside"}


MOUNTS = [
    bad("no-sensitive-bind/folder@web no-runtime-socket/socket@web")({"web:mounts[1]": bind("/")}),
    *[
        bad("no-sensitive-bind/folder@web")({"web:mounts[1]": bind(path)})
        for path in (
            *("/boot", "/dev", "/etc", "/lib", "/proc", "/sys", "/usr", "/root"),
            *("/var/lib/docker", "/etc/ssl", "//etc/", "/srv/../etc", "/var/lib", "/var", "/etc/."),
        )
    ],
    bad("no-sensitive-bind/folder@web no-runtime-socket/socket@web")(
        {"web:mounts[1]": bind("/run")}
    ),
    bad("no-sensitive-bind/folder@web no-runtime-socket/socket@web")(
        {"web:mounts[1]": bind("/var/run/docker.sock")}
    ),
    bad("no-sensitive-bind/folder@web")({"web:mounts[1]": bind("/run/other")}),
    bad("no-sensitive-bind/folder@web")(
        {"web:volumes": [{"hostPath": "/etc", "containerPath": "/e"}]}
    ),
    bad("no-sensitive-bind/folder@writer")({"writer:mounts[1]": bind("/etc")}),
    bad("no-sensitive-bind/relative@web")({"web:mounts[1]": bind("data")}),
    bad("no-sensitive-bind/folder@files")({"files:driverOpts": {"device": "/etc", "o": "bind"}}),
    bad("no-sensitive-bind/folder@web")(
        {"web:mounts[0].volumeOptions": {"driverOptions": {"device": "/etc", "o": "bind"}}}
    ),
    good({"web:mounts[1]": bind("/srv/data")}),
    good({"web:mounts[1]": bind("/etcetera")}),
    good({"web:mounts[1]": bind("/etc/x")}, {"no-sensitive-bind": {"folders": ["/boot", "/"]}}),
    good({"files:driverOpts": {"device": ":/exports/etc", "type": "nfs"}}),
    good({"web:volumes": [{"volumeName": "strata-other", "containerPath": "/etc"}]}),
    unknown(
        "web:volumes",
        "no-sensitive-bind@web no-runtime-socket@web single-writer@web",
    ),
    unknown(
        "web:mounts[0]",
        "no-sensitive-bind@web no-runtime-socket@web single-writer@web no-shared-propagation@web",
        "no-sensitive-bind/folder@web",
        change={"web:mounts[1]": bind("/etc")},
    ),
    unknown(
        "web:mounts[1].source",
        "no-sensitive-bind@web no-runtime-socket@web",
        change={"web:mounts[1]": bind(UNKNOWN)},
    ),
    unknown(
        "web:mounts[1].source",
        "no-sensitive-bind@web no-runtime-socket@web",
        change={"web:mounts[1]": bind(UNKNOWN), "web:made_of": {"networksAdvanced": ["backend"]}},
    ),
    unknown(
        "web:mounts[1].type",
        "no-sensitive-bind@web no-runtime-socket@web single-writer@web",
    ),
    unknown("files:driverOpts", "no-sensitive-bind@files no-runtime-socket@files"),
    unknown("files:driverOpts.device", "no-sensitive-bind@files no-runtime-socket@files"),
    bad("no-runtime-socket/socket@web")({"web:mounts[1]": bind("/srv/user/docker.sock")}),
    bad("no-runtime-socket/socket@web no-sensitive-bind/folder@web")(
        {"web:mounts[1]": bind("/run/containerd")}
    ),
    bad("no-runtime-socket/socket@files no-sensitive-bind/folder@files")(
        {"files:driverOpts": {"device": "/var/run/", "o": "bind"}}
    ),
    bad("no-shared-propagation/shared@web")(
        {"web:mounts[1]": {**bind("/srv/data"), "bindOptions": {"propagation": "rshared"}}}
    ),
    bad("no-shared-propagation/shared@web")(
        {"web:mounts[2]": {**bind("/srv/data"), "bindOptions": {"propagation": "Shared"}}}
    ),
    good({"web:mounts[1]": {**bind("/srv/data"), "bindOptions": {"propagation": "rprivate"}}}),
    unknown(
        "web:mounts[1].bindOptions",
        "no-shared-propagation@web",
        change={"web:mounts[1]": {**bind("/srv/data"), "bindOptions": UNKNOWN}},
    ),
]

GPU = {"driver": "nvidia", "capabilities": ["gpu"]}

DEVICES = [
    bad("no-raw-devices/device@web")({"web:devices": [{"hostPath": "/dev/sda"}]}),
    good(
        {"web:devices": [{"hostPath": "/dev//fuse"}]},
        {"no-raw-devices": {"allowed": ["/dev/fuse"]}},
    ),
    bad("no-raw-devices/cgroup-rule@web")({"web:deviceCgroupRules": ["c 1:3 mr"]}),
    bad("no-raw-devices/device@writer")({"writer:devices": [{"hostPath": "/dev/sda"}]}),
    unknown("web:devices", "no-raw-devices@web"),
    unknown(
        "web:devices[0].hostPath",
        "no-raw-devices@web",
        "no-raw-devices/cgroup-rule@web",
        change={"web:devices": [{"hostPath": UNKNOWN}], "web:deviceCgroupRules": ["a"]},
    ),
    bad("gpu-explicit/gpus-all@trainer")(
        {"trainer:deviceRequests": REMOVED, "trainer:gpus": "all"}
    ),
    bad("gpu-explicit/count-all@trainer")({"trainer:deviceRequests": [{**GPU, "count": -1}]}),
    good({"trainer:deviceRequests": [{**GPU, "count": 1}]}),
    good({"trainer:deviceRequests": [{"count": 1}]}),
    good({"trainer:deviceRequests": [{"count": 1, "capabilities": [["gpu", "compute"]]}]}),
    good({"trainer:deviceRequests": REMOVED, "trainer:gpus": "device=GPU-1"}),
    bad("gpu-explicit/visible-all@trainer")({"trainer:envs[1]": "NVIDIA_VISIBLE_DEVICES=all"}),
    bad("gpu-explicit/visible-all@web")({"web:envs[0]": "NVIDIA_VISIBLE_DEVICES=ALL"}),
    bad("gpu-explicit/void@web")({"web:envs": ["LOG_LEVEL=info"]}),
    bad("gpu-explicit/void@web")({"web:envs": REMOVED}),
    bad("gpu-explicit/void@web")({"web:envs[0]": "NVIDIA_VISIBLE_DEVICES=none"}),
    bad("gpu-explicit/void@web", name="another device is no GPU")(
        {"web:envs": REMOVED, "web:deviceRequests": [{"driver": "cdi", "capabilities": ["x"]}]}
    ),
    bad("gpu-explicit/void@web", name="another driver is no GPU")(
        {"web:envs": REMOVED, "web:deviceRequests": [{"driver": "cdi", "count": 1}]}
    ),
    bad("gpu-explicit/void@web", name="no text is no GPU")({"web:envs": REMOVED, "web:gpus": ""}),
    good({"web:envs[1]": "OTHER_VISIBLE_DEVICES=all"}),
    unknown("web:envs", "gpu-explicit@web env-secrets@web"),
    unknown("web:envs[1]", "gpu-explicit@web env-secrets@web"),
    unknown("web:envs[0]", "gpu-explicit@web env-secrets@web"),
    unknown(
        "trainer:deviceRequests",
        "gpu-explicit@trainer toolkit-floor@trainer gpu-isolation@trainer",
    ),
    unknown("trainer:deviceRequests[0].count", "gpu-explicit@trainer"),
    bad("toolkit-floor/old@trainer")({"trainer:labels[3].value": "1.17.7"}),
    bad("toolkit-floor/old@trainer")({"trainer:labels[3].value": "v1.9"}),
    bad("toolkit-floor/old@trainer")({"trainer:labels[3].value": "1.17.8-rc.1"}),
    good({"trainer:labels[3].value": "v1.18"}),
    good({"trainer:labels[3]": REMOVED}, {"toolkit-floor": {"installed": "1.17.8-1"}}),
    good({"trainer:labels[3].value": "1.2"}, {"toolkit-floor": {"floor": "1.2.0"}}),
    Case({"trainer:labels[3]": REMOVED}, unjudged=frozenset({"toolkit-floor@trainer"})),
    unknown("trainer:labels[3].value", "toolkit-floor@trainer"),
]

LIMITS = [
    bad("memory/limit@web")({"web:memory": REMOVED}),
    bad("memory/limit@web")({"web:memory": 0}),
    bad("memory/swap@web")({"web:memorySwap": REMOVED}),
    bad("memory/swap@web")({"web:memorySwap": -1}),
    bad("memory/swap@web")({"web:memorySwap": 512}),
    unknown("web:memory", "memory@web memory-budget@web"),
    unknown("web:memorySwap", "memory@web"),
    bad("cpu/limit@web")({"web:cpus": REMOVED}),
    bad("cpu/limit@web")({"web:cpus": "0"}),
    bad("cpu/limit@web")({"web:cpus": REMOVED, "web:cpuShares": 512}),
    good({"web:cpus": REMOVED, "web:cpuSet": "0-1"}),
    good({"web:cpus": REMOVED, "web:cpuQuota": 50000}),
    unknown("web:cpus", "cpu@web"),
    unknown("web:cpuSet", "cpu@web"),
    bad("ulimits/absent@web")({"web:ulimits[1]": REMOVED}),
    bad("ulimits/absent@web")({"web:ulimits[0]": REMOVED}),
    bad("ulimits/unbounded@web")({"web:ulimits[0].hard": -1}),
    bad("ulimits/unbounded@web")({"web:ulimits[0].hard": 0}),
    good({"web:ulimits[0]": REMOVED}, {"ulimits": {"required": ["nproc"]}}),
    unknown("web:ulimits", "ulimits@web"),
    unknown("web:ulimits[0]", "ulimits@web"),
    unknown("web:ulimits[0].hard", "ulimits@web"),
    bad("log-bounds/max-size@web")({"web:logOpts": {"max-file": "3"}}),
    bad("log-bounds/max-size@web")({"web:logOpts": {"max-file": "3", "max-size": "-1"}}),
    bad("log-bounds/max-file@web")({"web:logOpts": {"max-size": "10m"}}),
    good({"web:logOpts": {"max-size": "10m", "max-file": "1"}}),
    bad("log-bounds/max-file@web log-bounds/max-size@web")(
        {"web:logOpts": REMOVED, "web:logDriver": REMOVED}
    ),
    good({"web:logOpts": REMOVED, "web:logDriver": "local"}),
    good({"web:logOpts": REMOVED, "web:logDriver": "grafana/loki:3"}),
    unknown("web:logDriver", "log-bounds@web"),
    unknown("web:logOpts", "log-bounds@web"),
]

AUTHENTICATED = {"label": "strata.authentication", "value": "API keys"}
PUBLISHED = {"bind-address": {"allowed": ["192.0.2.1"]}}
NETWORKS = [
    bad("bind-address/open@web authentication/none@web")({"web:ports[0].ip": "0.0.0.0"}),
    bad("bind-address/open@web authentication/none@web")({"web:ports[0].ip": "::"}),
    bad("bind-address/open@web authentication/none@web")({"web:ports[0].ip": "[::]"}),
    bad("bind-address/open@web authentication/none@web")({"web:ports[0].ip": "192.0.2.1"}),
    bad("bind-address/open@web authentication/none@web")({"web:ports[0].ip": "localhost.example"}),
    bad("bind-address/unset@web authentication/none@web")({"web:ports[0].ip": REMOVED}),
    bad("bind-address/unset@web authentication/none@web")({"web:ports[0].ip": ""}),
    bad("bind-address/all-ports@web authentication/all-ports@web")({"web:publishAllPorts": True}),
    bad("bind-address/all-ports@writer authentication/all-ports@writer")(
        {"writer:publishAllPorts": True}
    ),
    good({"web:ports[0].ip": "127.0.1.1"}),
    good({"web:ports[0].ip": "[::1]"}),
    good({"web:ports[0].ip": "192.0.2.1", "web:labels[2]": AUTHENTICATED}, PUBLISHED),
    bad("authentication/none@web", PUBLISHED)({"web:ports[0].ip": "192.0.2.1"}),
    bad("authentication/none@web", PUBLISHED)(
        {"web:ports[0].ip": "192.0.2.1", "web:labels[2]": {**AUTHENTICATED, "value": " "}}
    ),
    unknown("web:ports", "bind-address@web low-port@web authentication@web"),
    unknown("web:ports[0].ip", "bind-address@web authentication@web"),
    unknown(
        "web:publishAllPorts",
        "bind-address@web authentication@web",
        "bind-address/open@web authentication/none@web",
        change={"web:ports[0].ip": "0.0.0.0"},
    ),
    bad("low-port/low@web")({"web:ports[0].external": 443}),
    bad("low-port/low@web")({"web:ports[0].external": 1023}),
    bad("low-port/low@web")({"web:ports[0].external": 1}),
    good({"web:ports[0].external": 1024}),
    good({"web:ports[0].external": 0}),
    good({"web:ports[0].external": 443}, {"low-port": {"allowed": [443]}}),
    unknown("web:ports[0].external", "low-port@web"),
    bad("user-network/default-bridge@job")({"job:networksAdvanced": REMOVED}),
    bad("user-network/default-bridge@job")(
        {"job:networksAdvanced": [], "job:networkMode": REMOVED}
    ),
    bad("user-network/default-bridge@job")(
        {"job:networksAdvanced": REMOVED, "job:networkMode": "default"}
    ),
    bad("user-network/named-bridge@web")({"web:networksAdvanced[2]": {"name": "bridge"}}),
    bad("user-network/named-bridge@web")({"web:networksAdvanced[2]": {"name": "default"}}),
    good({"job:networksAdvanced": REMOVED, "job:networkMode": "none"}),
    unknown(
        "job:networkMode",
        "no-host-ns@job user-network@job",
        change={"job:networksAdvanced": REMOVED},
    ),
    unknown("job:networkMode", "no-host-ns@job"),
    unknown("job:networksAdvanced", "no-host-ns@job user-network@job"),
]

IMAGES = [
    bad("digest/tag@web")({"web:image": "postgres:17"}),
    bad("digest/tag@web")({"web:image": "postgres@sha256:abc"}),
    bad("digest/tag@web")({"web:image": f"postgres@sha256:{HEX}0"}),
    bad("digest/tag@web")({"web:image": f"postgres@sha256:{HEX.upper()}"}),
    bad("digest/tag@web")({"web:image": "postgres:17@latest"}),
    bad("digest/tag@web")({"web:image": REMOVED}),
    bad("digest/tag@writer")({"writer:image": "postgres:17"}),
    bad("digest/tag@pulled")({"pulled:name": "postgres:17"}),
    good({"web:image": f"postgres:17@sha256:{HEX}"}),
    good({"pulled:name": "mine:1", "pulled:build": {"context": "."}}),
    unknown("web:image", "digest@web registry@web"),
    unknown("pulled:name", "digest@pulled registry@pulled"),
    bad("registry/registry@web")({"web:image": OTHER_REGISTRY}),
    bad("registry/registry@web")({"web:image": f"someone/app@sha256:{HEX}"}),
    bad("registry/registry@web")({"web:image": f"localhost:5000/app@sha256:{HEX}"}),
    bad("registry/registry@web")({"web:image": f"localhost/app@sha256:{HEX}"}),
    bad("registry/registry@pulled")({"pulled:name": OTHER_REGISTRY}),
    good(
        {"web:image": OTHER_REGISTRY},
        {"registry": {"registries": ["docker.io/library", "registry.example/team/"]}},
    ),
    good({"pulled:name": OTHER_REGISTRY}, {"registry": {"registries": ["registry.example/team"]}}),
    bad(
        "registry/registry@web",
        {"registry": {"registries": ["docker.io/library", "registry.example/te"]}},
    )({"web:image": OTHER_REGISTRY}),
    *[
        bad(f"own-code/development@{name}")(
            {f"{name}:labels": [*own, *labels(development="source")]}
        )
        for name, own in (
            ("web", labels(kind="application", service="web")),
            ("writer", labels(kind="files")),
        )
    ],
]

LIFECYCLE = [
    bad("healthcheck/absent@web")({"web:healthcheck": REMOVED}),
    bad("healthcheck/absent@web")({"web:healthcheck.tests": []}),
    bad("healthcheck/off@web")({"web:healthcheck.tests": ["NONE"]}),
    *[
        bad("healthcheck/cannot-fail@web")({"web:healthcheck.tests": tests})
        for tests in (
            ["CMD", "true"],
            ["CMD", "bash", "-c", 'if "$@"; then exit 0; fi; exit 1', "count", "true"],
            ["CMD"],
            ["CMD", "echo", "'SHOW'", "|", "client"],
            ["CMD", "/bin/true"],
            ["CMD-SHELL", "check || true"],
            ["CMD-SHELL", "check; exit 0"],
            ["CMD-SHELL", "check || :"],
            ["CMD-SHELL", "exit 0"],
            ["CMD-SHELL", " "],
            ["true"],
        )
    ],
    good({"web:healthcheck.tests": ["CMD-SHELL", "check || exit 1"]}),
    good({"web:healthcheck.tests": ["CMD-SHELL", "echo ruok | client"]}),
    bad("healthcheck/absent@job")({"job:restart": "always"}),
    bad("healthcheck/absent@job")({"job:restart": "unless-stopped"}),
    bad("healthcheck/absent@job")({"job:mustRun": REMOVED}),
    bad("healthcheck/absent@job")({"job:mustRun": True}),
    unknown("web:healthcheck", "healthcheck@web"),
    unknown("web:healthcheck.tests[0]", "healthcheck@web"),
    unknown("job:mustRun", "healthcheck@job observed@job"),
    bad("graceful-stop/stopTimeout@database")({"database:stopTimeout": 29}),
    bad("graceful-stop/stopTimeout@database")({"database:stopTimeout": REMOVED}),
    bad("graceful-stop/destroyGraceSeconds@database")({"database:destroyGraceSeconds": REMOVED}),
    good({"web:stopTimeout": REMOVED}),
    good({"database:stopTimeout": 5}, {"graceful-stop": {"seconds": 5}}),
    unknown("database:stopTimeout", "graceful-stop@database"),
    bad("graceful-stop/stopTimeout@metrics", name="known by its image")(
        {
            "metrics:labels[0]": REMOVED,
            "metrics:image": f"redis-cluster:7@sha256:{HEX}",
            "metrics:stopTimeout": 1,
        }
    ),
    good({"web:labels": REMOVED, "web:stopTimeout": 1}),
]

SECRETS = [
    *[
        bad("env-secrets/name@web")({"web:envs[1]": f"{name}=x"})
        for name in (
            *("DB_PASSWORD", "PASSWORD", "dbPassword", "API_KEY", "apiKey", "AWS_ACCESS_KEY"),
            *("JWT_SECRET", "GITHUB_TOKEN", "SSH_PASSPHRASE", "PRIVATE_KEY", "CREDENTIALS"),
        )
    ],
    bad("env-secrets/name@writer")({"writer:envs": ["DB_PASSWORD=x"]}),
    *[
        good({"web:envs[1]": f"{name}=x"})
        for name in ("SORT_KEY", "COMPASS", "MAX_TOKENS", "TOKENIZERS_PARALLELISM", "KEYBOARD")
    ],
    good({"web:envs[1]": "MAX_TOKEN=9"}, {"env-secrets": {"allowed": ["MAX_TOKEN"]}}),
    *[
        good({"web:envs[1]": f"{name}=/run/secrets/x"})
        for name in ("DB_PASSWORD_FILE", "AUTH_TOKEN_PATH")
    ],
    bad("env-secrets/not-a-path@web")({"web:envs[1]": "DB_PASSWORD_FILE=hunter2"}),
    bad("env-secrets/not-a-path@web")({"web:envs[1]": "AUTH_TOKEN_PATH=hunter2"}),
    good({"web:envs[1]": "LIST_FILE=names.txt"}),
    bad("env-secrets/marked@web")({"web:envs[1]": secret("GREETING=hello")}),
    bad("env-secrets/marked@web")(
        {"web:envs": secret(["NVIDIA_VISIBLE_DEVICES=void", "GREETING=hello"])}
    ),
    good({"web:envs[1]": secret("DB_PASSWORD_FILE=/run/secrets/db")}),
    bad("env-secrets/url@web")({"web:envs[1]": "DATABASE=postgres://me:pass@db/x"}),
    bad("env-secrets/url@web")({"web:envs[1]": "CACHE=redis://:pass@cache:6379"}),
    good({"web:envs[1]": "DATABASE=postgres://me@db:5432/x"}),
]

BY_IMAGE = {
    "database:labels": REMOVED,
    "database:image": f"postgres:17@sha256:{HEX}",
}

STACK = [
    bad("internal-network/open@database")({"backend:internal": False}),
    bad("internal-network/open@database")({"backend:internal": REMOVED}),
    bad("internal-network/attachable@database")({"backend:attachable": True}),
    bad("internal-network/foreign@database")(
        {"database:networksAdvanced[1]": {"name": "elsewhere"}}
    ),
    bad("internal-network/open@database", name="known by its image")(
        {**BY_IMAGE, "backend:internal": False}
    ),
    bad("internal-network/open@database", name="known by the image resource")(
        {"database:labels": REMOVED, "backend:internal": False}
    ),
    bad("internal-network/open@database", name="known by one of what the image was made of")(
        {
            "database:labels": REMOVED,
            "backend:internal": False,
            "database:made_of": {**MADE_OF, "image": ["data", "pulled"]},
        }
    ),
    good({"backend:internal": False, "database:labels[0].value": "application"}),
    good(
        {
            **BY_IMAGE,
            "backend:internal": False,
            "database:image": f"bashful@sha256:{HEX}",
            "pulled:name": f"bashful@sha256:{HEX}",
            "database:stopTimeout": 1,
        },
        {"registry": {"registries": ["docker.io"]}},
    ),
    unknown("backend:internal", "internal-network@database"),
    unknown(
        "backend:attachable",
        "internal-network@database",
        "internal-network/open@database",
        change={"backend:internal": False},
    ),
    # Names that are not known yet are found by what the property was made of.
    unknown(
        "backend:name database:networksAdvanced[0].name",
        "no-host-ns@database user-network@database",
        "internal-network/open@database",
        change={
            "backend:internal": False,
            **{
                f"{name}:networksAdvanced": [{"name": "strata-edge"}]
                for name in ("web", "trainer", "metrics", "job")
            },
            "database:labels[2]": {"label": "prometheus.io/scrape", "value": "true"},
        },
    ),
    unknown(
        "database:networksAdvanced[0].name",
        "no-host-ns@database user-network@database internal-network@database",
        change={"database:labels[2]": {"label": "prometheus.io/scrape", "value": "true"}},
    ),
    bad("datastore-private/ports@database")(
        {"database:ports": [{"ip": "127.0.0.1", "internal": 5432, "external": 5432}]}
    ),
    bad(
        "datastore-private/ports@database bind-address/all-ports@database"
        " authentication/all-ports@database"
    )({"database:publishAllPorts": True}),
    bad(
        "datastore-private/network@database user-network/default-bridge@database "
        "observed/unseen@database"
    )({"database:networksAdvanced": REMOVED}),
    bad("datastore-private/network@database no-host-ns/networkMode@database")(
        {"database:networkMode": "host"}
    ),
    unknown(
        "database:ports",
        "datastore-private@database bind-address@database low-port@database"
        " authentication@database",
    ),
    unknown("database:networkMode", "datastore-private@database no-host-ns@database"),
    unknown(
        "database:labels",
        "graceful-stop@database internal-network@database datastore-private@database "
        "backup-coverage@database stateful-protect@database observed@database own-code@database",
    ),
    bad("memory-budget/over@", {"memory-budget": {"hostMebibytes": 1300, "reservedMebibytes": 21}})(
        {}
    ),
    good({}, {"memory-budget": {"hostMebibytes": 1300, "reservedMebibytes": 20}}),
    good({"writer:memory": 999999}),
    bad("memory-budget/over@")({"metrics:memory": 30000, "metrics:memorySwap": 30000}),
    bad("backup-coverage/uncovered@data")({"data:labels": REMOVED}),
    bad("backup-coverage/memory@database")(
        {
            "database:labels": [
                *labels(kind="datastore", service="database"),
                {"label": "strata.in-memory", "value": "data"},
            ]
        }
    ),
    bad("backup-coverage/uncovered@data")({"data:labels[0].value": "none"}),
    good(
        {
            "data:labels": REMOVED,
            "job:labels[0].value": "backup",
            "job:mounts": [{"type": "volume", "source": "strata-data", "readOnly": True}],
        }
    ),
    unknown("data:labels[0].value", "backup-coverage@data"),
    unknown("data:labels", "backup-coverage@data"),
    bad("stateful-protect/unprotected@data")({"data:protect": False}),
    good({"files:protect": False}),
    good(
        {
            "database:volumes": [
                {"volumeName": "strata-files", "containerPath": "/f", "readOnly": True}
            ]
        }
    ),
    unknown(
        "database:mounts[0].source",
        "",
        "",
    ),
    unknown(
        "database:mounts[0].source data:name",
        "",
        "stateful-protect/unprotected@data backup-coverage/uncovered@data",
        change={"data:protect": False, "data:labels": REMOVED},
    ),
    bad("single-writer/writers@files")(
        {"job:mounts": [{"type": "volume", "source": "strata-files", "target": "/files"}]}
    ),
    good(
        {
            "job:mounts": [
                {"type": "volume", "source": "strata-files", "target": "/f", "readOnly": True}
            ]
        }
    ),
    bad("single-writer/writers@files")(
        {"job:volumes": [{"volumeName": "strata-files", "containerPath": "/files"}]}
    ),
    # What ends before the other is made writes alone.
    good(PREPARES),
    bad("single-writer/writers@files", name="nothing waits for its end")(
        {**PREPARES, "web:after": ["database"]}
    ),
    bad("single-writer/writers@files", name="made before, but it runs on")(
        {**PREPARES, "job:restart": "always", "job:healthcheck": running()["healthcheck"]}
    ),
    bad("single-writer/writers@files", name="one of two waits")(
        {**PREPARES, "metrics:mounts": [WRITES_FILES]}
    ),
    unknown(
        "web:mounts",
        "no-sensitive-bind@web no-runtime-socket@web single-writer@web no-shared-propagation@web",
    ),
    bad("observed/unseen@web observed/unseen@database observed/unseen@trainer")(
        {"metrics": REMOVED}
    ),
    bad("observed/unseen@trainer")({"trainer:networksAdvanced": [{"name": "strata-edge"}]}),
    good(
        {
            "trainer:networksAdvanced": [{"name": "strata-edge"}],
            "trainer:labels[4]": {"label": "prometheus.io/scrape", "value": "true"},
        }
    ),
    good(
        {"metrics:labels": REMOVED, "metrics:image": f"prom/prometheus@sha256:{HEX}"},
        {"registry": {"registries": ["docker.io"]}},
    ),
    unknown(
        "metrics:labels",
        "graceful-stop@metrics internal-network@metrics "
        "datastore-private@metrics backup-coverage@metrics stateful-protect@metrics "
        "observed@metrics own-code@metrics",
        "observed/unseen@web observed/unseen@database observed/unseen@trainer",
    ),
]

TENANT = Made(
    CONTAINER,
    running(
        labels=[
            *labels(kind="application", tenant="two"),
            {"label": "strata.gpu.toolkit", "value": "1.18.0"},
        ],
        deviceRequests=[{**GPU, "deviceIds": ["GPU-1"]}],
    ),
)

ISOLATION = [
    bad("gpu-isolation/shared@trainer gpu-isolation/shared@other")({"other": TENANT}),
    bad("gpu-isolation/shared@trainer gpu-isolation/shared@other")(
        {
            "other": TENANT,
            "other:deviceRequests": [{**GPU, "count": 1}],
            "trainer:deviceRequests": [{**GPU, "count": 1}],
        }
    ),
    bad("gpu-isolation/shared@trainer")(
        {"other": TENANT, "other:deviceRequests": [{**GPU, "count": 1}]}
    ),
    bad("gpu-isolation/shared@trainer gpu-isolation/shared@other")(
        {
            "other": TENANT,
            "other:deviceRequests": REMOVED,
            "other:gpus": "device=0",
            "trainer:deviceRequests": REMOVED,
            "trainer:gpus": "device=0",
        }
    ),
    good({"other": TENANT, "other:deviceRequests[0].deviceIds": ["GPU-2"]}),
    good({"other": TENANT, "other:labels[1].value": "one"}),
    good(
        {
            "other": TENANT,
            "other:deviceRequests[0].deviceIds": ["MIG-1"],
            "trainer:deviceRequests[0].deviceIds": ["mig-1"],
        }
    ),
    unknown("trainer:deviceRequests[0].deviceIds", "gpu-isolation@trainer"),
]

SUITE = Suite(
    PACK,
    FIXTURE,
    (
        *PRIVILEGES,
        *MOUNTS,
        *DEVICES,
        *LIMITS,
        *NETWORKS,
        *IMAGES,
        *LIFECYCLE,
        *SECRETS,
        *STACK,
        *ISOLATION,
    ),
)
