"""The reader of user data."""

import pytest

from tests.aws.user_data import problems

SPEC = """
  kubelet:
    config:
      serializeImagePulls: false
    flags: ["--v=2"]
  instance:
    localStorage:
      strategy: RAID0
  featureGates:
    FastImagePull: true
"""
CLUSTER = """
  cluster:
    name: strata
    apiServerEndpoint: https://example.com
    certificateAuthority: Y2VydGlmaWNhdGU=
    cidr: 172.20.0.0/16
"""


def document(spec: str = SPEC, *, kind: str = "NodeConfig", script: str = "#!/bin/sh\ntrue") -> str:
    return f"""MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="BOUNDARY"

--BOUNDARY
Content-Type: text/x-shellscript; charset="us-ascii"

{script}
--BOUNDARY
Content-Type: application/node.eks.aws

---
apiVersion: node.eks.aws/v1alpha1
kind: {kind}
spec:{spec}
--BOUNDARY--
"""


def test_good_ones() -> None:
    assert problems(document(), bottlerocket=False, own_image=False) == []
    assert problems(document(SPEC + CLUSTER), bottlerocket=False, own_image=True) == []
    assert problems("[settings.kernel]\n", bottlerocket=True, own_image=False) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("#!/bin/sh\n", "not a MIME document of several parts"),
        (document(kind="NodeConfiguration"), "part 1: kind: 'NodeConfiguration' is none of"),
        (document(SPEC.replace("RAID0", "raid")), "part 1: spec.instance.localStorage.strategy:"),
        (document(SPEC.replace("FastImagePull", "Faster")), "part 1: spec.featureGates.Faster:"),
        (document(SPEC.replace("true", "'yes'")), "part 1: spec.featureGates.FastImagePull: 'yes'"),
        (document("\n  kubelet: {"), "part 1: no YAML"),
        (document("\n  cluster: {name: strata}"), "part 1: spec.cluster: has to have all of"),
        (document(script="true"), "part 0: a script that names no interpreter"),
        (document().replace("x-shellscript", "x-shell"), "part 0: nobody reads text/x-shell"),
        (document().replace("--BOUNDARY--", ""), "CloseBoundaryNotFoundDefect"),
        (document(script="#!/bin/sh\n" + "a" * 16384), "bytes, and the most is 16384"),
    ],
)
def test_bad_ones(text: str, said: str) -> None:
    found = problems(text, bottlerocket=False, own_image=False)
    assert len(found) == 1
    assert said in found[0]


def test_an_image_of_ones_own_has_to_be_told_its_cluster() -> None:
    found = problems(document(), bottlerocket=False, own_image=True)
    assert [one.split(":")[1] for one in found] == [" spec.cluster"]


@pytest.mark.parametrize("text", ["[settings", "[other]\na = 1\n"])
def test_bad_ones_of_bottlerocket(text: str) -> None:
    assert len(problems(text, bottlerocket=True, own_image=False)) == 1
