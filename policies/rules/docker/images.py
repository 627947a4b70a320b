"""Which images run."""

from strata.policies.crossguard.judge import Judge, Resource
from strata.policies.crossguard.rule import Rule, is_type
from strata.policies.crossguard.values import text
from strata.policies.rules import settings
from strata.policies.rules.docker import facts
from strata.policies.rules.docker.container import container_rule, labels
from strata.policies.rules.text import LOCAL_IMAGE_ID, comes_from, is_pinned


def reference(resource: Resource) -> str:
    """The image of a resource; empty for an image that the stack builds."""
    if resource.type == facts.IMAGE:
        return "" if resource.get("build") is not None else text(resource.get("name"))
    return text(resource.get("image"))


@Rule(
    title="An image is pinned by digest.",
    risk="A tag can point to another image tomorrow. An `@` alone is not a digest.",
    fix="Write `name@sha256:` and the 64 hex digits. The ID of a local image (`sha256:` and 64 hex digits) passes too.",
    references=("CIS-Docker 5.28", "C-0075"),
    severity="medium",
    accepts=is_type(facts.CONTAINER, facts.IMAGE),
)
def digest(resource: Resource, judge: Judge) -> None:
    image = reference(resource)
    if not is_pinned(image) and not (resource.type == facts.IMAGE and not image):
        judge.violation("tag", "the image is not pinned by digest")


@Rule(
    title="An image comes from a registry on the allow-list.",
    risk="Nobody has vetted the registry. Images with a local ID were not pulled, and pass.",
    fix="Add the registry, or a path in it, to the allow-list `registries`, or mirror the image.",
    references=("CIS-Docker 4.2", "C-0078"),
    severity="medium",
    accepts=is_type(facts.CONTAINER, facts.IMAGE),
    settings={"registries": settings.REGISTRIES},
)
def registry(resource: Resource, judge: Judge) -> None:
    image = reference(resource)
    if not image or LOCAL_IMAGE_ID.fullmatch(image):
        return
    if not comes_from(image, judge.settings["registries"]):
        judge.violation("registry", "the registry of the image is not on the allow-list")


@container_rule(
    title="A container runs only the code of its image.",
    risk="The code is in a folder of the host: no scan has seen it, and whoever writes to the folder changes "
    "the service. Whoever reaches a debugger runs any code in the service.",
    fix="Remove what is for development, such as `strata:services.NAME.develop`, and with it the label "
    "`strata.development`.",
    severity="high",
)
def own_code(container: Resource, judge: Judge) -> None:
    if facts.DEVELOPMENT_LABEL in labels(container):
        judge.violation("development", "the container is for development")
