"""The storage classes of volumes."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.storage import v1 as storage

from strata.platforms.eks.aws.backups import BACKUP_TAG, BACKUP_VALUE
from strata.platforms.kubernetes.objects import Objects

DATA = "strata-data"
"""For data: backed up, and kept when its claim is deleted."""

CACHE = "strata-cache"
"""For caches, and for claims that name no class: deleted with its claim."""


@dataclass(frozen=True, kw_only=True)
class StorageClassesArgs:
    """`key_arn`: the key of volumes."""

    objects: Objects
    key_arn: pulumi.Input[str]


class StorageClasses(pulumi.ComponentResource):
    """gp3 volumes, encrypted with the stack's key, created in the zone of the pod, that can grow.
    gp3 has 3,000 operations and 125 MiB a second at every size (Amazon EBS User Guide, "General
    Purpose SSD volumes")."""

    def __init__(self, name: str, args: StorageClassesArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("strata:eks:StorageClasses", name, {}, opts)
        self._args = args
        backed_up = {"tagSpecification_1": f"{BACKUP_TAG}={BACKUP_VALUE}"}
        default = {"storageclass.kubernetes.io/is-default-class": "true"}
        self.classes: tuple[pulumi.Resource, ...] = (
            self._make(DATA, "Retain", parameters=backed_up),
            self._make(CACHE, "Delete", annotations=default),
        )
        self.register_outputs({})

    def _make(
        self,
        name: str,
        reclaim: str,
        *,
        parameters: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> storage.StorageClass:
        objects = self._args.objects
        return storage.StorageClass(
            name,
            metadata=objects.metadata(name, annotations=annotations, cluster_wide=True),
            provisioner="ebs.csi.aws.com",
            reclaim_policy=reclaim,
            # A volume is in one zone: that of the node which the scheduler chose for the pod.
            volume_binding_mode="WaitForFirstConsumer",
            allow_volume_expansion=True,
            parameters={
                "type": "gp3",
                "encrypted": "true",
                "kmsKeyId": self._args.key_arn,
                "csi.storage.k8s.io/fstype": "ext4",
                **(parameters or {}),
            },
            opts=objects.options(self),
        )
