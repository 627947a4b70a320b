"""The instance types of nodes, and what pods can use of each.

The tables are from EC2's DescribeInstanceTypes; a test compares every row with moto's copy of that
answer. Left out are types that are not x86-64, which the stack's images are built for (g5g and the
Graviton families), bare metal, which takes a quarter of an hour to boot, and fractions of a GPU (g6f,
gr6f), which need another driver.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

MEBIBYTES_OF_GIGABYTE = 1_000_000_000 / 1_048_576


@dataclass(frozen=True, kw_only=True)
class GpuProduct:
    """A GPU. `memory_mib`: as EC2 reports it. `mig`: the number of slices by MIG profile (NVIDIA MIG
    User Guide, "Supported MIG Profiles"; B300: the profiles of NVIDIA's GPU operator v25.3).
    `bottlerocket`: its name in Bottlerocket's MIG manager (bottlerocket-core-kit,
    nvidia-migmanager)."""

    name: str
    memory_mib: int
    mig: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    bottlerocket: str | None = None


@dataclass(frozen=True, kw_only=True)
class InstanceType:
    """`nvme_gb`: local disks. `efa_interfaces`: Elastic Fabric Adapters. `pod_addresses`: how many
    pods get an address from the interfaces of the first network card."""

    name: str
    vcpu: int
    memory_mib: int
    pod_addresses: int
    gpu: GpuProduct | None = None
    gpus: int = 0
    nvme_gb: int = 0
    efa_interfaces: int = 0

    @property
    def family(self) -> str:
        return self.name.partition(".")[0]


def _cut(small: str, twice: str, third: str, half: str, more: str, whole: str) -> Mapping[str, int]:
    """The geometries of every data centre GPU with seven compute slices."""
    return MappingProxyType(
        {small: 7, f"{small}+me": 1, twice: 4, third: 3, half: 2, more: 1, whole: 1}
    )


_EIGHTY_GB = _cut("1g.10gb", "1g.20gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb")

_T4 = GpuProduct(name="T4", memory_mib=16384)
_A10G = GpuProduct(name="A10G", memory_mib=22888)
_L4 = GpuProduct(name="L4", memory_mib=22888)
_L40S = GpuProduct(name="L40S", memory_mib=45776)
_RTX_PRO = GpuProduct(
    name="RTX PRO Server 6000",
    memory_mib=98304,
    mig=MappingProxyType({"1g.24gb": 4, "2g.48gb": 2, "4g.96gb": 1}),
)
_A100_40 = GpuProduct(
    name="A100",
    memory_mib=40960,
    mig=_cut("1g.5gb", "1g.10gb", "2g.10gb", "3g.20gb", "4g.20gb", "7g.40gb"),
    bottlerocket="a100.40gb",
)
_A100_80 = GpuProduct(name="A100", memory_mib=81920, mig=_EIGHTY_GB, bottlerocket="a100.80gb")
_H100 = GpuProduct(name="H100", memory_mib=81920, mig=_EIGHTY_GB, bottlerocket="h100.80gb")
_H200 = GpuProduct(
    name="H200",
    memory_mib=144384,
    mig=_cut("1g.18gb", "1g.35gb", "2g.35gb", "3g.71gb", "4g.71gb", "7g.141gb"),
    bottlerocket="h200.141gb",
)
_B200 = GpuProduct(
    name="B200",
    memory_mib=183359,
    mig=_cut("1g.23gb", "1g.45gb", "2g.45gb", "3g.90gb", "4g.90gb", "7g.180gb"),
    bottlerocket="b200.180gb",
)
_B300 = GpuProduct(
    name="B300",
    memory_mib=275040,
    mig=_cut("1g.34gb", "1g.67gb", "2g.67gb", "3g.135gb", "4g.135gb", "7g.269gb"),
)


def _gpu(
    name: str, vcpu: int, gib: int, gpu: GpuProduct, gpus: int, nvme_gb: int, efa: int, pods: int
) -> InstanceType:
    return InstanceType(
        name=name,
        vcpu=vcpu,
        memory_mib=gib * 1024,
        gpu=gpu,
        gpus=gpus,
        nvme_gb=nvme_gb,
        efa_interfaces=efa,
        pod_addresses=pods,
    )


def _system(name: str, vcpu: int, gib: int, pods: int, efa: int = 0) -> InstanceType:
    return InstanceType(
        name=name,
        vcpu=vcpu,
        memory_mib=gib * 1024,
        pod_addresses=pods,
        efa_interfaces=efa,
    )


# Type, vCPU, GiB of memory, GPU, how many, GB of NVMe, EFA interfaces, addresses for pods.
_GPU_TYPES = (
    _gpu("g4dn.xlarge", 4, 16, _T4, 1, 125, 0, 29),
    _gpu("g4dn.2xlarge", 8, 32, _T4, 1, 225, 0, 29),
    _gpu("g4dn.4xlarge", 16, 64, _T4, 1, 225, 0, 29),
    _gpu("g4dn.8xlarge", 32, 128, _T4, 1, 900, 1, 58),
    _gpu("g4dn.12xlarge", 48, 192, _T4, 4, 900, 1, 234),
    _gpu("g4dn.16xlarge", 64, 256, _T4, 1, 900, 1, 58),
    _gpu("g5.xlarge", 4, 16, _A10G, 1, 250, 0, 58),
    _gpu("g5.2xlarge", 8, 32, _A10G, 1, 450, 0, 58),
    _gpu("g5.4xlarge", 16, 64, _A10G, 1, 600, 0, 234),
    _gpu("g5.8xlarge", 32, 128, _A10G, 1, 900, 1, 234),
    _gpu("g5.12xlarge", 48, 192, _A10G, 4, 3800, 1, 737),
    _gpu("g5.16xlarge", 64, 256, _A10G, 1, 1900, 1, 234),
    _gpu("g5.24xlarge", 96, 384, _A10G, 4, 3800, 1, 737),
    _gpu("g5.48xlarge", 192, 768, _A10G, 8, 7600, 1, 345),
    _gpu("g6.xlarge", 4, 16, _L4, 1, 250, 0, 58),
    _gpu("g6.2xlarge", 8, 32, _L4, 1, 450, 0, 58),
    _gpu("g6.4xlarge", 16, 64, _L4, 1, 600, 0, 234),
    _gpu("g6.8xlarge", 32, 128, _L4, 1, 900, 1, 234),
    _gpu("g6.12xlarge", 48, 192, _L4, 4, 3760, 1, 234),
    _gpu("g6.16xlarge", 64, 256, _L4, 1, 1880, 1, 737),
    _gpu("g6.24xlarge", 96, 384, _L4, 4, 3760, 1, 737),
    _gpu("g6.48xlarge", 192, 768, _L4, 8, 7520, 1, 737),
    _gpu("g6e.xlarge", 4, 32, _L40S, 1, 250, 0, 58),
    _gpu("g6e.2xlarge", 8, 64, _L40S, 1, 450, 0, 58),
    _gpu("g6e.4xlarge", 16, 128, _L40S, 1, 600, 0, 234),
    _gpu("g6e.8xlarge", 32, 256, _L40S, 1, 900, 1, 234),
    _gpu("g6e.12xlarge", 48, 384, _L40S, 4, 3800, 1, 292),
    _gpu("g6e.16xlarge", 64, 512, _L40S, 1, 1900, 1, 737),
    _gpu("g6e.24xlarge", 96, 768, _L40S, 4, 3800, 2, 492),
    _gpu("g6e.48xlarge", 192, 1536, _L40S, 8, 7600, 4, 492),
    _gpu("gr6.4xlarge", 16, 128, _L4, 1, 600, 0, 234),
    _gpu("gr6.8xlarge", 32, 256, _L4, 1, 900, 1, 234),
    _gpu("g7e.2xlarge", 8, 64, _RTX_PRO, 1, 1900, 0, 254),
    _gpu("g7e.4xlarge", 16, 128, _RTX_PRO, 1, 1900, 0, 506),
    _gpu("g7e.8xlarge", 32, 256, _RTX_PRO, 1, 1900, 1, 506),
    _gpu("g7e.12xlarge", 48, 512, _RTX_PRO, 2, 3800, 1, 632),
    _gpu("g7e.24xlarge", 96, 1024, _RTX_PRO, 4, 7600, 2, 632),
    _gpu("g7e.48xlarge", 192, 2048, _RTX_PRO, 8, 15200, 4, 632),
    _gpu("p4d.24xlarge", 96, 1152, _A100_40, 8, 8000, 4, 737),
    _gpu("p4de.24xlarge", 96, 1152, _A100_80, 8, 8000, 4, 737),
    _gpu("p5.4xlarge", 16, 256, _H100, 1, 3800, 1, 118),
    _gpu("p5.48xlarge", 192, 2048, _H100, 8, 30400, 32, 100),
    _gpu("p5e.48xlarge", 192, 2048, _H200, 8, 30400, 32, 100),
    _gpu("p5en.48xlarge", 192, 2048, _H200, 8, 30400, 16, 198),
    _gpu("p6-b200.48xlarge", 192, 2048, _B200, 8, 30400, 8, 198),
    _gpu("p6-b300.48xlarge", 192, 4096, _B300, 8, 30400, 16, 198),
)

# Type, vCPU, GiB of memory, addresses for pods, EFA interfaces.
_SYSTEM_TYPES = (
    _system("m5.large", 2, 8, 29),
    _system("m5.xlarge", 4, 16, 58),
    _system("m5.2xlarge", 8, 32, 58),
    _system("m5.4xlarge", 16, 64, 234),
    _system("m5.8xlarge", 32, 128, 234),
    _system("m5.12xlarge", 48, 192, 234),
    _system("m5.16xlarge", 64, 256, 737),
    _system("m5.24xlarge", 96, 384, 737),
    _system("m6i.large", 2, 8, 29),
    _system("m6i.xlarge", 4, 16, 58),
    _system("m6i.2xlarge", 8, 32, 58),
    _system("m6i.4xlarge", 16, 64, 234),
    _system("m6i.8xlarge", 32, 128, 234),
    _system("m6i.12xlarge", 48, 192, 234),
    _system("m6i.16xlarge", 64, 256, 737),
    _system("m6i.24xlarge", 96, 384, 737),
    _system("m6i.32xlarge", 128, 512, 737, 1),
    _system("m7i.large", 2, 8, 29),
    _system("m7i.xlarge", 4, 16, 58),
    _system("m7i.2xlarge", 8, 32, 58),
    _system("m7i.4xlarge", 16, 64, 234),
    _system("m7i.8xlarge", 32, 128, 234),
    _system("m7i.12xlarge", 48, 192, 234),
    _system("m7i.16xlarge", 64, 256, 737),
    _system("m7i.24xlarge", 96, 384, 737),
    _system("m7i.48xlarge", 192, 768, 737, 1),
    _system("m8i.large", 2, 8, 59),
    _system("m8i.xlarge", 4, 16, 118),
    _system("m8i.2xlarge", 8, 32, 118),
    _system("m8i.4xlarge", 16, 64, 394),
    _system("m8i.8xlarge", 32, 128, 492),
    _system("m8i.12xlarge", 48, 192, 590),
    _system("m8i.16xlarge", 64, 256, 1010),
    _system("m8i.24xlarge", 96, 384, 1010),
    _system("m8i.32xlarge", 128, 512, 1514),
    _system("m8i.48xlarge", 192, 768, 1514, 1),
    _system("m8i.96xlarge", 384, 1536, 1514, 1),
)

TYPES: Mapping[str, InstanceType] = MappingProxyType(
    {one.name: one for one in (*_GPU_TYPES, *_SYSTEM_TYPES)}
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
