"""Which images run."""

from __future__ import annotations

from strata.policies.crossguard.judge import Judge
from strata.policies.crossguard.rule import ADVISORY, MANDATORY, Resource, rule, setting
from strata.policies.crossguard.values import text
from strata.policies.rules.docker.container import CONTAINER, IMAGE
from strata.policies.rules.text import LOCAL_IMAGE_ID, OFFICIAL_IMAGES, comes_from, is_pinned


def reference(resource: Resource) -> str:
    """The image a resource names; empty for an image that the stack builds itself."""
    if resource.type == IMAGE:
        return "" if resource.get("build") is not None else text(resource.get("name"))
    return text(resource.get("image"))


@rule(
    slug="digest",
    title="An image is named by its digest.",
    stops="A tag that means another image tomorrow. An `@` alone is not a digest.",
    comply="Write `name@sha256:` and the 64 hex digits. The id of a local image (`sha256:` and 64 "
    "hex "
    "digits) names its content as well, and passes.",
    benchmark=("CIS-Docker 5.28", "C-0075"),
    severity="medium",
    development=ADVISORY,
    production=MANDATORY,
    accepts=frozenset({CONTAINER, IMAGE}),
)
def digest(resource: Resource, judge: Judge) -> None:
    """A whole digest, or a local image's id."""
    image = reference(resource)
    if not is_pinned(image) and not (resource.type == IMAGE and not image):
        judge.violation("tag", "the image is not named by a digest")


@rule(
    slug="registry",
    title="An image comes from a registry on the allow-list.",
    stops="An image from a registry nobody has agreed on. Images known by their local id were not "
    "pulled, and pass.",
    comply="Put the registry, or a folder of it, on the allow-list `registries`, or mirror the "
    "image.",
    benchmark=("CIS-Docker 4.2", "C-0078"),
    severity="medium",
    development=ADVISORY,
    production=MANDATORY,
    accepts=frozenset({CONTAINER, IMAGE}),
    settings={
        "registries": setting(
            "array", [OFFICIAL_IMAGES], "Registries, or folders of them, that images may come from."
        )
    },
)
def registry(resource: Resource, judge: Judge) -> None:
    """Pulled images are from the allow-list."""
    image = reference(resource)
    if not image or LOCAL_IMAGE_ID.fullmatch(image):
        return
    if not comes_from(image, judge.settings["registries"]):
        judge.violation("registry", "the image is not from a registry on the allow-list")
