"""The whole table, under the headings of the page."""

from collections.abc import Mapping

from tests.parity import parts, services, workloads
from tests.parity.row import Row

TABLE: Mapping[str, tuple[Row, ...]] = {
    "Services and jobs alike": workloads.ROWS,
    "Service": services.SERVICE,
    "Job": services.JOB,
    "Port": services.PORT,
    "Endpoint (an entry of `links`)": services.ENDPOINT,
    "Probe": services.PROBE,
    "Resources": parts.RESOURCES,
    "Storage and files": parts.STORAGE,
    "GPU": parts.GPU,
    "Limits and exceptions": parts.EXCEPTIONS,
    "Parts of a text": parts.TEXT,
}

ROWS = tuple(row for rows in TABLE.values() for row in rows)
