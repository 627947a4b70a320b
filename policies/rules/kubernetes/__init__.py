"""The kubernetes-hardening pack: rules for the resources of pulumi-kubernetes."""

from strata.policies.crossguard.rule import Pack
from strata.policies.rules.kubernetes import access, cluster, gpu, pod_security, stack, workloads

PACK = Pack(
    name="kubernetes-hardening",
    title="Kubernetes hardening",
    platform="kubernetes",
    topics=(pod_security, workloads, access, cluster, stack, gpu),
)
