"""Bad node groups and add-ons: one clear mistake each, by its path."""

from typing import Any

import pytest

from strata.config.aws import AwsSettings
from strata.platforms.eks.checks import nodes as node_checks

ZONES = ("a", "b", "c")


def found(**aws: Any) -> list[tuple[str, str, str]]:
    settings = AwsSettings.model_validate(aws)
    problems = [
        *node_checks.check_nodes(settings, ZONES),
        *node_checks.check_add_ons(settings.add_ons),
    ]
    return [(one.path, one.message, one.fix) for one in problems]


def gpu(**changes: Any) -> dict[str, Any]:
    return {"gpuNodes": [{"name": "gpu", "instanceTypes": ["g6.xlarge"], **changes}]}


GROUP = "strata:aws.gpuNodes[0]"
H100 = {"instanceTypes": ["p5.48xlarge"]}
RESERVED = {**H100, "capacity": "reservation", "reservationId": "cr-0123456789abcdef0"}

BAD: dict[str, tuple[dict[str, Any], str, str]] = {
    "a type without a GPU": (
        gpu(instanceTypes=["g6.xlarge", "m5.xlarge"]),
        f"{GROUP}.instanceTypes[1]",
        "m5.xlarge has no GPU",
    ),
    "no such family": (
        gpu(instanceTypes=["g66.xlarge"]),
        f"{GROUP}.instanceTypes[0]",
        "g66.xlarge is not an instance type for this group",
    ),
    "no such size": (
        gpu(instanceTypes=["g6.3xlarge"]),
        f"{GROUP}.instanceTypes[0]",
        "unknown instance type g6.3xlarge",
    ),
    "a system type with a GPU": (
        {"systemNodes": {"instanceTypes": ["g6.xlarge"]}},
        "strata:aws.systemNodes.instanceTypes[0]",
        "g6.xlarge has a GPU, and system nodes always run",
    ),
    "no such system type": (
        {"systemNodes": {"instanceTypes": ["a1.xlarge"]}},
        "strata:aws.systemNodes.instanceTypes[0]",
        "a1.xlarge is not an instance type for this group",
    ),
    "system types of two architectures": (
        {"systemNodes": {"instanceTypes": ["m7g.xlarge", "m7i.xlarge"]}},
        "strata:aws.systemNodes.instanceTypes",
        "the types have different architectures: m7g.xlarge is arm64, m7i.xlarge is amd64",
    ),
    "different numbers of GPUs": (
        gpu(instanceTypes=["g6.xlarge", "g6.12xlarge"]),
        f"{GROUP}.instanceTypes",
        "the types have different numbers of GPUs: g6.xlarge has 1, g6.12xlarge has 4",
    ),
    "minimum above maximum": (
        gpu(minimum=3, maximum=2),
        f"{GROUP}.minimum",
        "3 is more than the maximum of 2",
    ),
    "system minimum above maximum": (
        {"systemNodes": {"minimum": 9}},
        "strata:aws.systemNodes.minimum",
        "9 is more than the maximum of 6",
    ),
    "a zone that is not the stack's": (
        gpu(zone="f"),
        f"{GROUP}.zone",
        "f is not a zone of the stack",
    ),
    "a reservation that is not said": (
        gpu(**H100, capacity="capacity-block", zone="a"),
        f"{GROUP}.reservationId",
        "missing, and capacity is capacity-block",
    ),
    "a reservation for on-demand": (
        gpu(reservationId="cr-0123456789abcdef0"),
        f"{GROUP}.reservationId",
        "on-demand capacity does not use a reservation",
    ),
    "a reservation of two types": (
        gpu(
            capacity="reservation",
            reservationId="cr-0123456789abcdef0",
            zone="a",
            instanceTypes=["g6.xlarge", "g5.xlarge"],
        ),
        f"{GROUP}.instanceTypes",
        "a reservation is for one type, not for 2",
    ),
    "a reservation without a zone": (
        gpu(**RESERVED),
        f"{GROUP}.zone",
        "missing, and a reservation is in one zone",
    ),
    "time-slicing without a number": (
        gpu(sharing="time-slicing"),
        f"{GROUP}.timeSlices",
        "missing, and sharing is time-slicing",
    ),
    "a number without time-slicing": (
        gpu(timeSlices=4),
        f"{GROUP}.timeSlices",
        "not used when sharing is exclusive",
    ),
    "MIG without a profile": (
        gpu(**H100, sharing="mig"),
        f"{GROUP}.migProfile",
        "missing, and sharing is mig",
    ),
    "a GPU that has no MIG": (
        gpu(sharing="mig", migProfile="1g.10gb"),
        f"{GROUP}.migProfile",
        "the L4 of g6.xlarge does not support MIG",
    ),
    "a profile of another GPU": (
        gpu(**H100, sharing="mig", migProfile="1g.5gb"),
        f"{GROUP}.migProfile",
        "the H100 of p5.48xlarge has no profile 1g.5gb",
    ),
    "a profile that Bottlerocket does not cut": (
        gpu(**H100, sharing="mig", migProfile="4g.40gb", image="bottlerocket"),
        f"{GROUP}.migProfile",
        "Bottlerocket does not support 4g.40gb on the H100 of p5.48xlarge",
    ),
    "a profile that two GPUs are cut into differently": (
        gpu(instanceTypes=["p4d.24xlarge", "p4de.24xlarge"], sharing="mig", migProfile="1g.10gb"),
        f"{GROUP}.instanceTypes",
        "1g.10gb makes a different number of slices: 4 of a A100 of p4d.24xlarge,"
        " 7 of a A100 of p4de.24xlarge",
    ),
    "EFA on a type without": (
        gpu(efa=True, zone="a"),
        f"{GROUP}.efa",
        "g6.xlarge has no Elastic Fabric Adapter",
    ),
    "EFA in all zones": (
        gpu(**H100, efa=True),
        f"{GROUP}.zone",
        "missing, and EFA works only within a zone",
    ),
    "different numbers of EFA interfaces": (
        gpu(instanceTypes=["p5.48xlarge", "p5en.48xlarge"], efa=True, zone="a"),
        f"{GROUP}.instanceTypes",
        "the types have different numbers of EFA interfaces:"
        " p5.48xlarge has 32, p5en.48xlarge has 16",
    ),
    "a name that another group has": (
        {"gpuNodes": [{"name": "gpu", "instanceTypes": ["g6.xlarge"]}] * 2},
        "strata:aws.gpuNodes[1].name",
        "another group is named gpu",
    ),
    "the name of the system group": (
        gpu(name="system"),
        f"{GROUP}.name",
        "another group is named system",
    ),
    "a release that is none": (
        gpu(release="latest"),
        f"{GROUP}.release",
        "latest is not a release of a node image",
    ),
    "a release of another version": (
        {"systemNodes": {"release": "1.34.6-20260818"}},
        "strata:aws.systemNodes.release",
        "1.34.6-20260818 is for Kubernetes 1.34, and the cluster has 1.35",
    ),
    "a release of Amazon Linux for Bottlerocket": (
        gpu(image="bottlerocket", release="1.35.6-20260818"),
        f"{GROUP}.release",
        "1.35.6-20260818 is not a release of Bottlerocket",
    ),
    "an unknown add-on": (
        {"addOns": {"ebs-csi-driver": "v1.63.1-eksbuild.1"}},
        "strata:aws.addOns.ebs-csi-driver",
        "unknown add-on",
    ),
    "a version that is none": (
        {"addOns": {"coredns": "1.13"}},
        "strata:aws.addOns.coredns",
        "1.13 is not a version of an EKS add-on",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_one_mistake_by_its_path(case: str) -> None:
    settings, path, problem = BAD[case]
    assert [(where, what) for where, what, _ in found(**settings)] == [(path, problem)]


def test_remedies_name_what_is_near() -> None:
    ((_, _, remedy),) = found(**gpu(instanceTypes=["g66.xlarge"]))
    assert "g6.xlarge" in remedy
    ((_, _, remedy),) = found(**gpu(instanceTypes=["g6.3xlarge"]))
    assert "g6.2xlarge, g6.4xlarge" in remedy
    ((_, _, remedy),) = found(addOns={"ebs-csi-driver": "v1.63.1-eksbuild.1"})
    assert remedy.startswith("did you mean aws-ebs-csi-driver?")
    ((_, _, remedy),) = found(**gpu(**H100, sharing="mig", migProfile="1g.5gb"))
    assert "1g.10gb" in remedy


def test_all_mistakes_are_told_at_once() -> None:
    settings = {
        "systemNodes": {"instanceTypes": ["x9.huge"], "minimum": 9},
        "gpuNodes": [
            {"name": "one", "instanceTypes": ["m5.xlarge"], "zone": "z"},
            {"name": "one", "instanceTypes": ["p5.48xlarge"], "capacity": "reservation"},
        ],
        "addOns": {"dns": "v1.0.0-eksbuild.1"},
    }
    assert [path for path, _, _ in found(**settings)] == [
        "strata:aws.systemNodes.instanceTypes[0]",
        "strata:aws.systemNodes.minimum",
        "strata:aws.gpuNodes[0].instanceTypes[0]",
        "strata:aws.gpuNodes[0].zone",
        "strata:aws.gpuNodes[1].name",
        "strata:aws.gpuNodes[1].reservationId",
        "strata:aws.gpuNodes[1].zone",
        "strata:aws.addOns.dns",
    ]


GOOD: dict[str, dict[str, Any]] = {
    "the defaults": {},
    "a reservation": gpu(**RESERVED, zone="b"),
    "a capacity block": gpu(
        **H100, capacity="capacity-block", reservationId="cr-0123456789abcdef0", zone="a"
    ),
    "spot": gpu(capacity="spot", instanceTypes=["g6.xlarge", "g5.xlarge", "g4dn.xlarge"]),
    "EFA": gpu(**H100, efa=True, zone="a"),
    "time-slicing": gpu(sharing="time-slicing", timeSlices=4),
    "MIG": gpu(**H100, sharing="mig", migProfile="1g.10gb+me"),
    "MIG of the same profile": gpu(
        instanceTypes=["p5.48xlarge", "p4de.24xlarge"], sharing="mig", migProfile="1g.10gb"
    ),
    "Bottlerocket": gpu(image="bottlerocket", release="1.54.0-6ee0d8e7"),
    "a later version": {"kubernetesVersion": "1.36"},
    "no GPU at all": {"gpuNodes": []},
    "an add-on of another version": {"addOns": {"vpc-cni": "v1.23.0-eksbuild.1"}},
}


@pytest.mark.parametrize("case", GOOD)
def test_what_can_be_carried_out_has_no_mistake(case: str) -> None:
    assert found(**GOOD[case]) == []
