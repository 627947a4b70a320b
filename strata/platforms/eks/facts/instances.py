"""The instance types of nodes, and what pods can use of each.

The types (instances.csv) are from EC2's DescribeInstanceTypes; a test compares every row with moto's
copy of that answer. Left out are GPU types that are not x86-64 (g5g), bare metal, which takes a quarter
of an hour to boot, and fractions of a GPU (g6f, gr6f), which need another driver.
"""

import math
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files

from pydantic import TypeAdapter

from strata.platforms.eks.facts import rows

_GRAVITON = re.compile(r"[a-z]+\d+g")
AMD64, ARM64 = "amd64", "arm64"
MEBIBYTES_OF_GIGABYTE = 1_000_000_000 / 1_048_576


@dataclass(frozen=True, kw_only=True)
class GpuProduct:
    """A GPU, as in gpus.toml. `mig`: the number of slices by MIG profile. `bottlerocket`: its name in
    Bottlerocket's MIG manager, if that supports it."""

    name: str
    memory_mib: int
    mig: Mapping[str, int] = field(default_factory=dict)
    bottlerocket: str | None = None


@dataclass(frozen=True, kw_only=True)
class InstanceType:
    """`nvme_gb`: local disks. `efa_interfaces`: Elastic Fabric Adapters. `pod_addresses`: how many
    pods get an address from the interfaces of the first network card."""

    name: str
    vcpu: int
    memory_mib: int
    gpu: GpuProduct | None
    gpus: int
    nvme_gb: int
    efa_interfaces: int
    pod_addresses: int

    @property
    def family(self) -> str:
        return self.name.partition(".")[0]

    @property
    def architecture(self) -> str:
        """As Docker and Kubernetes name it. The names of Graviton's families have a `g` after the generation
        (EC2 User Guide, "Instance type naming conventions")."""
        return ARM64 if _GRAVITON.match(self.family) else AMD64


_GPUS = TypeAdapter(dict[str, GpuProduct]).validate_python(
    tomllib.loads(files(__package__).joinpath("gpus.toml").read_text())
)

TYPES: Mapping[str, InstanceType] = TypeAdapter(dict[str, InstanceType]).validate_python(
    {
        row["name"]: {**row, "gpu": _GPUS[row["gpu"]] if row["gpu"] else None}
        for row in rows("instances")
    }
)

# The first network card of these is for IP only; their EFA interfaces start at card 1.
EFA_FROM_SECOND_CARD = frozenset({"p6-b300.48xlarge"})


def mig_memory_mib(profile: str) -> int:
    """The memory of a MIG slice by its profile's name, in GB of 10^9 bytes. A program can use less: an
    H200's 1g.18gb leaves 16.0 GiB (`nvidia-smi mig -lgip`)."""
    size = profile.partition(".")[2].partition("gb")[0]
    return math.floor(int(size) * MEBIBYTES_OF_GIGABYTE)


def cpu_for_pods(instance: InstanceType) -> float:
    """Cores for pods: all but what nodeadm reserves for kubelet and the system, which is 6% of the
    first core, 1% of the second, 0.5% of the third and fourth, and 0.25% of the others
    (amazon-eks-ami, nodeadm/internal/kubelet, getCPUMillicoresToReserve)."""
    first = 60 + 10 * min(instance.vcpu - 1, 1) + 5 * min(max(instance.vcpu - 2, 0), 2)
    kept = first + math.floor(2.5 * max(instance.vcpu - 4, 0))
    return instance.vcpu - kept / 1000


def memory_for_pods(instance: InstanceType) -> int:
    """MiB for pods.

    The machine sees less than EC2 reports: 7.5% are subtracted, as Karpenter does
    (`vm-memory-overhead-percent`). nodeadm reserves 255 MiB and 11 MiB for each pod address, and
    kubelet starts to evict at 100 MiB (amazon-eks-ami, nodeadm/internal/kubelet/config.go).
    """
    seen = math.floor(instance.memory_mib * (1 - 0.075))
    return seen - (255 + 11 * instance.pod_addresses) - 100


def architecture(names: Iterable[str]) -> str:
    """That of a node group, by its instance types. checks/nodes.py rejects a group with both."""
    return next((TYPES[name].architecture for name in names if name in TYPES), AMD64)
