"""The tables of instance types, held to what EC2 itself says, and what is left for pods."""

import gzip
import json
from importlib.resources import files
from typing import Any

import pytest

from strata.platforms.eks.facts.instances import (
    EFA_FROM_SECOND_CARD,
    TYPES,
    cpu_for_pods,
    memory_for_pods,
    mig_memory_mib,
)
from strata.platforms.kubernetes.gpu import mig_resource


@pytest.fixture(scope="module")
def ec2() -> dict[str, Any]:
    """EC2's answer to DescribeInstanceTypes, by type, as moto carries it."""
    bundled = files("moto.ec2.resources").joinpath("instance_types.json.gz").read_bytes()
    types: dict[str, Any] = json.loads(gzip.decompress(bundled))
    return types


@pytest.mark.parametrize("name", TYPES)
def test_a_type_is_what_ec2_says_it_is(name: str, ec2: dict[str, Any]) -> None:
    known, own = ec2[name], TYPES[name]
    network = known["NetworkInfo"]
    first_card = network["NetworkCards"][network.get("DefaultNetworkCardIndex", 0)]
    assert own.vcpu == known["VCpuInfo"]["DefaultVCpus"]
    assert own.memory_mib == known["MemoryInfo"]["SizeInMiB"]
    assert own.nvme_gb == known.get("InstanceStorageInfo", {}).get("TotalSizeInGB", 0)
    assert own.efa_interfaces == network.get("EfaInfo", {}).get("MaximumEfaInterfaces", 0)
    assert own.pod_addresses == 2 + first_card["MaximumNetworkInterfaces"] * (
        network["Ipv4AddressesPerInterface"] - 1
    )
    architectures = {"amd64": "x86_64", "arm64": "arm64"}
    assert known["ProcessorInfo"]["SupportedArchitectures"] == [architectures[own.architecture]]
    gpus = known.get("GpuInfo", {}).get("Gpus", [])
    if not gpus:
        assert own.gpu is None
        assert own.gpus == 0
        return
    assert own.gpu is not None
    (gpu,) = gpus
    assert gpu["Manufacturer"] == "NVIDIA"
    assert (own.gpu.name, own.gpus) == (gpu["Name"], gpu["Count"])
    assert own.gpu.memory_mib == gpu["MemoryInfo"]["SizeInMiB"]


def test_efa_interfaces_are_on_cards_of_their_own(ec2: dict[str, Any]) -> None:
    """Launch templates put one EFA interface on each network card, from the first or second on."""
    for name, own in TYPES.items():
        if own.efa_interfaces > 0:
            cards = len(ec2[name]["NetworkInfo"]["NetworkCards"])
            assert cards - own.efa_interfaces == (1 if name in EFA_FROM_SECOND_CARD else 0), name


def test_every_current_size_of_the_families_is_there(ec2: dict[str, Any]) -> None:
    families = {one.family for one in TYPES.values()}
    sizes = {name for name in ec2 if name.partition(".")[0] in families and "metal" not in name}
    assert set(TYPES) == sizes


@pytest.mark.parametrize(
    ("name", "millicores"),
    # 6 % of a core, 1 % of the second, 0.5 % of the next two, 0.25 % of the others.
    [("m5.large", 70), ("m5.xlarge", 80), ("m5.2xlarge", 90), ("m5.24xlarge", 310)],
)
def test_cores_that_nodeadm_keeps(name: str, millicores: int) -> None:
    assert round((TYPES[name].vcpu - cpu_for_pods(TYPES[name])) * 1000) == millicores


def test_memory_for_pods() -> None:
    # 16,384 MiB less 7.5 %, 255 + 11 x 58 for the node, and 100 at which pods are evicted.
    assert memory_for_pods(TYPES["m7i.xlarge"]) == 15155 - 893 - 100
    # The memory kept goes by the addresses of the first network card: 100 pods, not 3,138.
    assert memory_for_pods(TYPES["p5.48xlarge"]) == 1939865 - 1355 - 100


def test_slices_do_not_hold_more_than_their_gpu() -> None:
    for one in TYPES.values():
        for profile, count in (one.gpu.mig if one.gpu else {}).items():
            assert one.gpu is not None
            assert count * mig_memory_mib(profile) <= one.gpu.memory_mib, (one.name, profile)


def test_resources_of_slices() -> None:
    assert mig_resource("1g.10gb") == "nvidia.com/mig-1g.10gb"
    assert mig_resource("1g.10gb+me") == "nvidia.com/mig-1g.10gb.me"
