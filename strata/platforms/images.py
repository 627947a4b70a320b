"""What both kinds of platforms check of images."""

from collections.abc import Iterable, Iterator

from strata.errors import ImageError, Problem
from strata.images import catalogue
from strata.model import Workload


def check_images(workloads: Iterable[Workload]) -> Iterator[Problem]:
    """Images that don't exist."""
    for workload in workloads:
        for field, image in workload.images.items():
            try:
                catalogue.get(image)
            except ImageError as error:
                yield Problem(f"{workload.path}: {field}", error.message, error.fix)


def name_of(image: str) -> str:
    """The name under which an image is pushed. An unknown image has its own: `check_images` reports
    it."""
    try:
        return catalogue.get(image).name
    except ImageError:
        return image
