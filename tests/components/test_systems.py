"""Every system fits the host that it is stated to need, and is rejected on a smaller one."""

from dataclasses import replace

import pytest

import systems
from tests.components.stack import HOST, compose, refused
from tests.documents.plan import settings

# By system: the memory of the host, for its services, those that observe them, and 1 GiB or 10% for
# the host itself.
HOST_GIB = {"dredge": 5, "node_intelligence": 4, "project88": 6, "jimbot": 32, "datapunk": 32}
# What its document reserves for the host itself.
SETTINGS = {"jimbot": {"host": {"reservedMemoryMib": 6 * 1024}}}


@pytest.mark.parametrize("system", HOST_GIB)
def test_a_system_fits_its_host_and_no_smaller_one(system: str) -> None:
    memory_mib = HOST_GIB[system] * 1024
    describe = systems.find(system)
    chosen = settings(SETTINGS.get(system, {}))
    composed = compose(describe, host=replace(HOST, memory_mib=memory_mib), settings=chosen)
    assert composed.recorded.of("Container")
    smaller = replace(HOST, memory_mib=memory_mib - 1024)
    error, recorded = refused(describe, host=smaller, settings=chosen)
    (problem,) = error.problems
    assert problem.path == "budget: memory"
    # The table of what needs how much.
    for name in {service["name"] for service in composed.outputs["services"]}:
        assert name in str(error)
    assert not recorded.of("Container")
