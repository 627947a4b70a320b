"""Every system fits the host that it is stated to need, and is rejected on a smaller one."""

from dataclasses import replace

import pytest

import systems
from strata.config import Settings
from tests.components.stack import HOST, compose, refused

# By system: the memory of the host, for its services, those that observe them, and 1 GiB or 10% for
# the host itself.
HOST_GIB = {"node_intelligence": 4, "project88": 6}


@pytest.mark.parametrize("system", HOST_GIB)
def test_a_system_fits_its_host_and_no_smaller_one(system: str) -> None:
    memory_mib = HOST_GIB[system] * 1024
    describe = systems.find(system)
    composed = compose(describe, host=replace(HOST, memory_mib=memory_mib), settings=Settings())
    assert composed.recorded.of("Container")
    error, recorded = refused(describe, host=replace(HOST, memory_mib=memory_mib - 1024))
    (problem,) = error.problems
    assert problem.path == "budget: memory"
    # The table of what needs how much.
    for name in {service["name"] for service in composed.outputs["services"]}:
        assert name in str(error)
    assert not recorded.of("Container")
