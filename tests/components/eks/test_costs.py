"""The page of costs has every GPU type, counts what the stack creates, and adds up."""

import re
from pathlib import Path

from strata.platforms.eks.facts.instances import TYPES
from tests.planned import plan

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "costs.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ")
]


def test_every_gpu_type_has_a_row() -> None:
    rows = {row[0]: row for row in ROWS if row[0] in TYPES}
    assert list(rows) == [name for name, one in TYPES.items() if one.gpu is not None]
    for name, row in rows.items():
        one = TYPES[name]
        assert one.gpu is not None
        assert row[1] == f"{one.gpus} x {one.gpu.name}"
        assert row[2] == f"{one.gpu.memory_mib / 1024:.0f} GiB"
        if row[3] != "not available":
            assert abs(float(row[4]) - float(row[3]) / one.gpus) < 0.0001


def _stack() -> dict[str, list[str]]:
    header = next(index for index, row in enumerate(ROWS) if row[0] == "part")
    return {row[0].partition(",")[0]: row for row in ROWS[header + 1 : header + 17]}


def test_the_stack_adds_up() -> None:
    rows = _stack()
    total = rows.pop("**total**")
    assert len(rows) == 15
    assert total[3] == f"**{sum(float(row[3]) for row in rows.values()):.2f}**"
    for row in rows.values():
        factors = [float(one) for one in re.findall(r"\d+", row[1])]
        if match := re.match(r"([\d.]+) per hour", row[2]):
            count = factors[0] * (factors[1] if len(factors) > 1 else 1)
            assert abs(float(row[3]) - count * float(match[1]) * 730) < 0.01, row


def test_what_is_counted_is_what_is_made() -> None:
    rows, program = _stack(), plan()
    (template,) = [
        one
        for one in program.of("ec2/launchTemplate:LaunchTemplate")
        if one.name.endswith("system")
    ]
    groups = [one for one in program.of("eks/nodeGroup:NodeGroup") if "system" in one.name]
    nodes = int(sum(one.inputs["scalingConfig"]["minSize"] for one in groups))
    assert rows["system nodes"][:2] == [
        f"system nodes, {groups[0].inputs['instanceTypes'][0]}",
        str(nodes),
    ]
    disk = int(template.inputs["blockDeviceMappings"][0]["ebs"]["volumeSize"])
    assert rows["disks of system nodes"][1] == f"{nodes} x {disk} GB"
    assert rows["NAT gateways"][1] == str(len(program.of("NatGateway")))
    assert rows["public addresses of the NAT gateways"][1] == str(len(program.of("ec2/eip:Eip")))
    endpoints = [one for one in program.of("VpcEndpoint") if one.inputs.get("subnetIds")]
    zones = len(endpoints[0].inputs["subnetIds"])
    assert rows["interface endpoints"][1] == f"{len(endpoints)} x {zones}"
    assert rows["KMS keys"][1] == str(len(program.of("kms/key:Key")))
    claims = [
        claim.inputs["spec"]["resources"]["requests"]["storage"]
        for claim in program.of(":PersistentVolumeClaim")
    ]
    assert set(claims) == {"10Gi"}
    assert rows["datastore volumes"][1] == f"{len(claims)} x 10 GB"
    (database,) = program.of("rds/instance:Instance")
    assert rows["RDS for PostgreSQL with its standby"][:2] == [
        f"RDS for PostgreSQL with its standby, {database.inputs['instanceClass']}",
        "1",
    ]
    assert rows["storage of RDS"][1] == f"2 x {database.inputs['allocatedStorage']:.0f} GB"
    (redis,) = program.of(":ReplicationGroup")
    assert rows["ElastiCache for Valkey"][:2] == [
        f"ElastiCache for Valkey, {redis.inputs['nodeType']}, with its replica",
        f"{redis.inputs['numCacheClusters']:.0f}",
    ]
    caches = [
        int(claim["spec"]["resources"]["requests"]["storage"].removesuffix("Gi"))
        for one in program.of(":StatefulSet")
        for claim in one.inputs["spec"].get("volumeClaimTemplates", ())
        if claim["metadata"]["labels"].get("strata.cache") == "true"
    ]
    assert rows["volumes of caches"][1] == f"{sum(caches)} GB"
    gpus = sum(
        int(container["resources"]["limits"].get("nvidia.com/gpu", 0))
        * int(one.inputs["spec"].get("replicas", 1))
        for one in program.of(":Deployment")
        for container in one.inputs["spec"]["template"]["spec"]["containers"]
    )
    group = next(one for one in program.of("eks/nodeGroup:NodeGroup") if "gpu" in one.name)
    first = group.inputs["instanceTypes"][0]
    assert rows["GPU nodes"][:2] == [f"GPU nodes, {first}", str(gpus // TYPES[first].gpus)]
