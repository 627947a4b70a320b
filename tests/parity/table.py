"""The whole table, under the headings of the page."""

from collections.abc import Mapping

from tests.parity import builds, external, gpus, parts, ports, probes, services, texts, workloads
from tests.parity.row import Row

TABLE: Mapping[str, tuple[Row, ...]] = {
    "Services and jobs alike": workloads.ROWS,
    "Build (an `image`)": builds.ROWS,
    "Service": services.SERVICE,
    "Job": services.JOB,
    "Port": ports.PORT,
    "Endpoint (an entry of `links`)": (*ports.ENDPOINT, external.ENDPOINT),
    "ExternalServer (of an endpoint)": external.SERVER,
    "Probe": probes.PROBE,
    "Resources": parts.RESOURCES,
    "Storage and files": parts.STORAGE,
    "GPU": gpus.GPU,
    "Limits and exceptions": parts.EXCEPTIONS,
    "Parts of a text": texts.TEXT,
}

ROWS = tuple(row for rows in TABLE.values() for row in rows)
