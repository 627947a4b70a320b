"""Renders a pod for Kubernetes."""

from collections.abc import Iterator, Mapping

import pulumi
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.meta import v1 as meta

from strata.platforms.kubernetes.cluster import GPU_TAINT
from strata.platforms.kubernetes.formatting import cores, escape, mebibytes
from strata.platforms.kubernetes.objects import Objects
from strata.platforms.kubernetes.pod import (
    ApiToken,
    Claim,
    Container,
    ContainerResources,
    EmptyDir,
    Files,
    HostPath,
    NodeSelection,
    Pod,
    PodField,
)

NOWHERE = "127.0.0.1"
"""A DNS server that doesn't exist: no service listens on port 53, so lookups fail at once. Kubernetes
requires an address."""

TOPOLOGY_KEYS = ("topology.kubernetes.io/zone", "kubernetes.io/hostname")

FILE_MODE = 0o444
"""All users of the container can read, none can write: the container runs one process."""
SECRET_MODE = 0o440
"""The group of the user (`fsGroup`) can read. libpq rejects a private key that everyone can read."""


def pod_labels(pod: Pod, objects: Objects) -> Mapping[str, str]:
    """The labels of a pod, and of what is created for it."""
    return {**objects.names.labels(pod.name, pod.component), **pod.labels}


def template(pod: Pod, objects: Objects) -> core.PodTemplateSpecArgs:
    exceptions = {f"strata.{name}": reason for name, reason in pod.exceptions.items()}
    # Whatever the taint's value is.
    toleration = core.TolerationArgs(key=GPU_TAINT, operator="Exists", effect="NoSchedule")
    return core.PodTemplateSpecArgs(
        metadata=meta.ObjectMetaArgs(
            labels=dict(sorted(pod_labels(pod, objects).items())),
            annotations={**pod.annotations, **exceptions} or None,
        ),
        spec=core.PodSpecArgs(
            service_account_name=pod.name,
            automount_service_account_token=False,
            enable_service_links=False,
            priority_class_name=pod.priority_class,
            restart_policy=pod.restart,
            active_deadline_seconds=pod.deadline_seconds,
            termination_grace_period_seconds=pod.grace_seconds,
            security_context=_pod_security(pod),
            init_containers=[_container(one) for one in pod.init_containers] or None,
            containers=[_container(one) for one in pod.containers],
            volumes=list(_volumes(pod)) or None,
            host_aliases=[
                core.HostAliasArgs(ip=alias.address, hostnames=list(alias.names))
                for alias in pod.host_aliases
            ]
            or None,
            # By default the pod would query the cluster's DNS servers, and wait for answers that no
            # NetworkPolicy allows.
            dns_policy=None if pod.queries_dns else "None",
            dns_config=None if pod.queries_dns else core.PodDNSConfigArgs(nameservers=[NOWHERE]),
            tolerations=[toleration] if pod.nodes.tolerates_gpu_taint else None,
            node_selector=dict(pod.nodes.labels) or None,
            affinity=_affinity(pod.nodes),
            topology_spread_constraints=_spread(pod, objects) if pod.spread else None,
        ),
    )


def _pod_security(pod: Pod) -> core.PodSecurityContextArgs:
    profile = core.SeccompProfileArgs(type="RuntimeDefault")
    if pod.root_reason is not None:
        return core.PodSecurityContextArgs(run_as_user=0, seccomp_profile=profile)
    group = pod.user if pod.group is None else pod.group
    return core.PodSecurityContextArgs(
        run_as_non_root=True,
        run_as_user=pod.user,
        run_as_group=group,
        fs_group=group if pod.owns_volumes else None,
        # Only a new volume: some services keep files that only their user can read (RabbitMQ's
        # cookie, PostgreSQL's folder), and don't start with other modes.
        fs_group_change_policy="OnRootMismatch" if pod.owns_volumes else None,
        seccomp_profile=profile,
    )


def _container(container: Container) -> core.ContainerArgs:
    return core.ContainerArgs(
        name=container.name,
        image=container.image,
        image_pull_policy="IfNotPresent",
        command=[_escaped(one) for one in container.command] or None,
        args=[_escaped(one) for one in container.args] or None,
        env=[_variable(name, value) for name, value in container.environment.items()],
        ports=[
            core.ContainerPortArgs(
                name=port.name, container_port=port.number, protocol=port.protocol
            )
            for port in container.ports
        ]
        or None,
        resources=_resources(container.resources),
        security_context=core.SecurityContextArgs(
            allow_privilege_escalation=False,
            privileged=False,
            read_only_root_filesystem=container.read_only_root,
            capabilities=core.CapabilitiesArgs(
                drop=["ALL"], add=[one.name for one in container.capabilities] or None
            ),
        ),
        volume_mounts=[
            core.VolumeMountArgs(
                name=one.name, mount_path=one.path, read_only=True if one.read_only else None
            )
            for one in container.mounts
        ]
        or None,
        startup_probe=container.startup,
        readiness_probe=container.readiness,
        liveness_probe=container.liveness,
        lifecycle=container.before_stop,
    )


def _variable(name: str, value: pulumi.Input[str] | PodField) -> core.EnvVarArgs:
    if not isinstance(value, PodField):
        return core.EnvVarArgs(name=name, value=_escaped(value))
    reference = core.ObjectFieldSelectorArgs(field_path=value.path)
    return core.EnvVarArgs(name=name, value_from=core.EnvVarSourceArgs(field_ref=reference))


def _escaped(text: pulumi.Input[str]) -> pulumi.Input[str]:
    return escape(text) if isinstance(text, str) else pulumi.Output.concat(text).apply(escape)


def _resources(resources: ContainerResources) -> core.ResourceRequirementsArgs:
    # Kubernetes requires a GPU's request and limit to be equal, and would fill in the other.
    gpus = {name: str(count) for name, count in resources.gpus.items()}
    cpu, memory_mib = resources.cpu, resources.memory_mib
    return core.ResourceRequirementsArgs(
        requests={"cpu": cores(cpu), "memory": mebibytes(memory_mib), **gpus},
        limits={
            "cpu": cores(resources.cpu_limit or cpu),
            "memory": mebibytes(resources.memory_limit_mib or memory_mib),
            **gpus,
        },
    )


def _volumes(pod: Pod) -> Iterator[core.VolumeArgs]:
    """All but the claims, which a StatefulSet adds."""
    for mount in pod.mounts:
        name = mount.name
        match mount.source:
            case EmptyDir(size_mib=size, in_memory=in_memory):
                medium = "Memory" if in_memory else None
                folder = core.EmptyDirVolumeSourceArgs(medium=medium, size_limit=mebibytes(size))
                yield core.VolumeArgs(name=name, empty_dir=folder)
            case HostPath(path=path, type=kind):
                host = core.HostPathVolumeSourceArgs(path=path, type=kind)
                yield core.VolumeArgs(name=name, host_path=host)
            case Files(object_name=owner, secret=True):
                secret = core.SecretVolumeSourceArgs(secret_name=owner, default_mode=SECRET_MODE)
                yield core.VolumeArgs(name=name, secret=secret)
            case Files(object_name=owner):
                config = core.ConfigMapVolumeSourceArgs(name=owner, default_mode=FILE_MODE)
                yield core.VolumeArgs(name=name, config_map=config)
            case ApiToken(expiration_seconds=seconds):
                yield core.VolumeArgs(name=name, projected=_token(seconds))
            case Claim():
                pass


def _token(expiration_seconds: int) -> core.ProjectedVolumeSourceArgs:
    namespace = core.DownwardAPIVolumeFileArgs(
        path="namespace",
        field_ref=core.ObjectFieldSelectorArgs(field_path="metadata.namespace"),
    )
    return core.ProjectedVolumeSourceArgs(
        default_mode=FILE_MODE,
        sources=[
            core.VolumeProjectionArgs(
                service_account_token=core.ServiceAccountTokenProjectionArgs(
                    path="token", expiration_seconds=expiration_seconds
                )
            ),
            core.VolumeProjectionArgs(
                config_map=core.ConfigMapProjectionArgs(
                    name="kube-root-ca.crt", items=[core.KeyToPathArgs(key="ca.crt", path="ca.crt")]
                )
            ),
            core.VolumeProjectionArgs(
                downward_api=core.DownwardAPIProjectionArgs(items=[namespace])
            ),
        ],
    )


def _affinity(nodes: NodeSelection) -> core.AffinityArgs | None:
    if not nodes.terms:
        return None
    terms = [
        core.NodeSelectorTermArgs(
            match_expressions=[
                core.NodeSelectorRequirementArgs(key=key, operator="In", values=list(values))
                for key, values in term
            ]
        )
        for term in nodes.terms
    ]
    return core.AffinityArgs(
        node_affinity=core.NodeAffinityArgs(
            required_during_scheduling_ignored_during_execution=core.NodeSelectorArgs(
                node_selector_terms=terms
            )
        )
    )


def _spread(pod: Pod, objects: Objects) -> list[core.TopologySpreadConstraintArgs]:
    """Over zones, then over nodes, as far as there is room: a replica that can't be spread is better
    than a missing one."""
    in_deployment = not any(isinstance(one.source, Claim) for one in pod.mounts)
    return [
        core.TopologySpreadConstraintArgs(
            topology_key=key,
            max_skew=1,
            when_unsatisfiable="ScheduleAnyway",
            label_selector=objects.selector(pod.name),
            # Counts only nodes where the pods may run.
            node_taints_policy="Honor",
            # Pods of the previous version are about to go, and don't count.
            match_label_keys=["pod-template-hash"] if in_deployment else None,
        )
        for key in TOPOLOGY_KEYS
    ]
