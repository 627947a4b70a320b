"""The page that compares the systems, generated from their plans and documents."""

import json

import systems
from benchmarks.systems import FILE as MEASURED
from benchmarks.systems import SYSTEMS, own_images
from strata.collect import collect
from strata.images.build import plan as image_plan
from strata.images.source import Source
from tests.documents.plan import plan, settings
from tests.documents.row import Document
from tests.documents.table import DOCUMENTS
from tests.project import REPOSITORY

PAGE = REPOSITORY / "docs" / "systems" / "README.md"
HEAD = """\
# Systems

`strata:system` selects one. `python -m tests.documents` generates this table; a test compares it with the plans.

| system | services | images | memory, MiB | lines | YAML of its document, lines | on Docker | on EKS |
|---|---|---|---|---|---|---|---|
"""
FOOT = """
Services and the sum of their memory limits are those of the settings that the page of the system shows, without the
[observability stack](../observability.md), which observes each of them without a line of its own. The images are those
that are built here for these services without an image registry, parents included. The lines are those of its file in
`systems/`. The last two columns are the resources on Docker and the objects on EKS, all included. The YAML of a
document describes a part of its stack: it leaves out most of TLS, secrets, networks, metrics and Kubernetes.
"""
MEASURED_HEAD = """
On Docker, as measured by `python -m benchmarks.systems` on 2 cores:

| system | images of its own | their build, s | first `up`, s | memory in use, MiB |
|---|---|---|---|---|
"""
MEASURED_FOOT = """
The images of its own are those that no other system uses. They were built on the images that systems share, such as
that of Python, or of Go for Mailpit. No layer of an earlier build was used, and each build downloaded its packages
again. Other work used the two cores as well, so these times are upper bounds. At the first `up`, all images were there.
Memory is that of all containers, a minute after `up`, without the page cache that the kernel can drop, and without the
observability stack. The systems have the settings of `benchmarks/systems.py`: no GPU, datapunk and jimbot smaller than
in their documents, and without the services whose images are on image registries only (Consul; Memgraph and
EventStore).
"""


def text() -> str:
    """The content of the page."""
    rows = [_row("reference", None), *(_row(each.system, each) for each in DOCUMENTS)]
    measured = json.loads(MEASURED.read_text())
    lines = [
        f"| [{name}]({name}.md) | {', '.join(sorted(own_images(name)))} | {one['build_seconds']}"
        f" | {one['up_seconds']} | {one['memory_mib']} |\n"
        for name, one in ((name, measured[name]) for name in SYSTEMS)
    ]
    return HEAD + "".join(rows) + FOOT + MEASURED_HEAD + "".join(lines) + MEASURED_FOOT


def _row(system: str, document: Document | None) -> str:
    given = document.settings if document else {}
    composition = collect(
        systems.find(system), settings({**given, "observability": {"enabled": False}})
    )
    planned = plan(system, given, document.prod_settings if document else {})
    lines = len((REPOSITORY / "systems" / f"{system}.py").read_text().splitlines())
    names = {str(each.image) for each in composition.workloads}
    built = [each for each in image_plan(names, Source.LOCAL, ()).steps if each.kind == "build"]
    memory_mib = sum(each.resources.memory_mib * each.replicas for each in composition.workloads)
    return (
        f"| [{system}]({system}.md) | {len(composition.services)} | {len(built)} | {memory_mib} | {lines}"
        f" | {document.yaml_lines if document else '-'} | {len(planned.docker)}"
        f" | {len(planned.kubernetes)} |\n"
    )
