"""The whole stack on EKS, planned from its settings."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pulumi
import pytest

from strata.model import InvalidStackError
from strata.platforms.eks.aws import provider
from strata.platforms.eks.target import EksTarget
from strata.platforms.kubernetes.names import COMPONENT, INSTANCE, MANAGED_BY, NAME, PART_OF
from strata.policies.crossguard.judge import Finding, Resource, Stack
from strata.policies.rules.aws import PACK
from tests.components.eks.examples import ancestors, only
from tests.planned import Program, plan, settings
from tests.unit.examples import service

IMAGES = ("application", "inference", "inference-cuda", "rabbitmq")
PUSHED = dict.fromkeys(IMAGES, f"sha256:{'1' * 64}")


@pytest.fixture(scope="module")
def stack() -> Program:
    return plan({"imageDigests": PUSHED})


def test_all_of_aws_is_under_the_stack_or_its_registry(stack: Program) -> None:
    aws = [one for one in stack.resources if one.type.startswith("aws:")]
    assert aws
    for one in aws:
        assert ancestors(stack, one)[-1] in (
            "strata:eks:EksInfrastructure",
            "strata:eks:Registry",
        ), one.urn


def test_the_provider_knows_its_account_and_tags_everything(stack: Program) -> None:
    inputs = only(stack, "pulumi:providers:aws").inputs
    assert inputs["region"] == "us-east-1"
    assert _json(inputs["allowedAccountIds"]) == ["111122223333"]
    assert _json(inputs["defaultTags"]) == {
        "tags": {"strata.project": "strata", "strata.stack": "prod", "strata.system": "reference"}
    }


def _json(value: Any) -> Any:
    """A provider's inputs are JSON texts."""
    return json.loads(value) if isinstance(value, str) else value


@pytest.mark.parametrize("credentials", [False, True])
def test_a_preview_needs_no_credentials_and_looks_at_the_account_where_there_are_some(
    credentials: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider, "has_credentials", lambda: credentials)
    inputs = only(plan({"imageDigests": PUSHED}, preview=True), "pulumi:providers:aws").inputs
    assert ("allowedAccountIds" in inputs) is credentials
    for switch in ("skipCredentialsValidation", "skipRequestingAccountId", "skipMetadataApiCheck"):
        assert (_json(inputs.get(switch, "false")) is True) is not credentials


def test_credentials_are_found_by_the_rules_of_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    assert not provider.has_credentials()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "word")
    assert provider.has_credentials()


def test_there_is_a_repository_for_each_image_of_ours_and_each_that_was_pushed(
    stack: Program,
) -> None:
    assert {one.inputs["name"] for one in stack.of("ecr/repository:Repository")} == {
        f"strata-prod/{name}" for name in PUSHED
    }


def test_pods_run_what_was_pushed(stack: Program) -> None:
    images = {
        container["image"]
        for kind in ("v1:Deployment", "v1:StatefulSet")
        for one in stack.of(kind)
        for container in one.inputs["spec"]["template"]["spec"]["containers"]
    }
    registry = "111122223333.dkr.ecr.us-east-1.amazonaws.com/strata-prod"
    assert f"{registry}/application@{PUSHED['application']}" in images
    assert f"{registry}/rabbitmq@{PUSHED['rabbitmq']}" in images


def test_the_load_balancer_has_the_certificate_and_the_domain_leads_to_it(stack: Program) -> None:
    (service,) = (
        one
        for one in stack.of("core/v1:Service")
        if one.inputs["spec"].get("type") == "LoadBalancer"
    )
    certificate = only(stack, ":CertificateValidation").outputs["certificateArn"]
    annotations = service.inputs["metadata"]["annotations"]
    assert annotations["service.beta.kubernetes.io/aws-load-balancer-ssl-cert"] == certificate
    record = next(one for one in stack.of("route53/record:Record") if one.inputs["type"] == "A")
    assert service.urn in record.dependencies


def test_a_person_gets_what_is_needed_next(stack: Program) -> None:
    assert stack.outputs["urls"] == {"gateway": "https://strata.example.com"}
    assert stack.outputs["cluster"] == "strata-prod"
    assert stack.outputs["kubeconfig"].startswith("aws eks update-kubeconfig --name strata-prod")
    assert stack.outputs["nameServers"]
    assert stack.outputs["archives"]


@pytest.mark.parametrize(("ranges", "told"), [([], True), (["203.0.113.0/24"], False)])
def test_a_person_hears_from_where_the_cluster_can_be_reached(
    ranges: list[str], told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(pulumi.log, "info", lambda text, *_, **__: lines.append(text))
    plan({"imageDigests": PUSHED, "aws": {"account": "111122223333", "publicAccessRanges": ranges}})
    assert any("is reachable only inside its VPC" in line for line in lines) is told


def test_every_object_has_the_recommended_labels(stack: Program) -> None:
    wanted = {NAME, INSTANCE, PART_OF, COMPONENT, MANAGED_BY}
    objects = stack.manifests()
    pods = [one["spec"]["template"] for one in objects if "template" in one.get("spec", {})]
    claims = [
        claim for one in objects for claim in one.get("spec", {}).get("volumeClaimTemplates", ())
    ]
    assert pods
    assert claims
    for one in (*objects, *pods, *claims):
        labels = one["metadata"]["labels"]
        assert wanted <= set(labels), one
        assert (labels[MANAGED_BY], labels[INSTANCE]) == ("strata", "prod")
        assert labels[PART_OF] == "reference"
        assert all(len(value) <= 63 for value in labels.values()), one


def test_selectors_are_names_and_the_stack(stack: Program) -> None:
    for one in stack.manifests():
        selector = one.get("spec", {}).get("selector")
        if selector is not None:
            assert set(selector.get("matchLabels", selector)) == {NAME, INSTANCE}, one


def test_the_name_of_the_image_pull_is_taken() -> None:
    target = EksTarget(settings(), "strata", "prod", date(2026, 11, 21))
    (problem,) = target.check([service("image-pull", image="redis")], ())
    assert problem.path == "service image-pull: name"


def test_an_unknown_profile_is_one_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    configuration = tmp_path / "config"
    configuration.write_text("[profile staging]\nregion = us-east-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(configuration))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "stagin")
    target = EksTarget(settings(), "strata", "prod", date(2026, 11, 21))
    (problem,) = target.check((), ())
    assert problem.path == "AWS_PROFILE"
    assert problem.message == "there is no profile 'stagin' in AWS's configuration"
    assert problem.fix == "set it to one of: staging"
    monkeypatch.setenv("AWS_PROFILE", "staging")
    assert list(target.check((), ())) == []
    configuration.write_text("[profile staging\n")
    (problem,) = target.check((), ())
    assert str(configuration) in problem.message


def test_nodes_come_after_what_they_need(stack: Program) -> None:
    # A component's own dependencies hold for its children: see `after` in the target.
    nodes = only(stack, "strata:eks:NodeGroups")
    before = {urn.split("::")[-1] for urn in nodes.dependencies}
    assert {"eks-first-add-ons-vpc-cni", "eks-network-private-a-out"} <= before
    add_ons = next(one for one in stack.of("strata:eks:AddOns") if one.name == "eks-add-ons")
    assert {one.urn for one in stack.of(":NodeGroup")} <= add_ons.dependencies


def test_mistakes_of_all_parts_are_told_at_once_before_anything_is_made() -> None:
    changes = {
        "domain": None,
        "aws": {"gpuNodes": [{"name": "gpu", "instanceTypes": ["c5.xlarge"]}]},
    }
    with pytest.raises(InvalidStackError) as caught:
        plan(changes)
    assert {"strata:domain", "strata:aws.account"} <= {one.path for one in caught.value.problems}
    assert any(one.path.startswith("strata:aws.gpuNodes[0]") for one in caught.value.problems)


def _findings(stack: Program) -> Iterator[Finding]:
    """What the pack for AWS says of all of it, with every rule as it is by default."""
    resources = [
        Resource(
            type=one.type,
            name=one.name,
            urn=one.urn,
            properties=one.inputs,
            protect=one.protect,
            property_dependencies=one.property_dependencies,
        )
        for one in stack.resources
    ]
    for rule in PACK.rules:
        settings = rule.configured()
        if rule.is_stack_rule:
            yield from rule.judge(Stack(resources), settings)
            continue
        for resource in resources:
            if rule.accepts is not None and rule.accepts(resource.type):
                yield from rule.judge(resource, settings)


def test_the_policy_pack_finds_nothing(stack: Program) -> None:
    assert [f"{one.rule} {one.name}: {one.message}" for one in _findings(stack)] == []
