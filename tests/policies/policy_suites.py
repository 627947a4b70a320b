"""All packs with their fixtures and cases."""

from __future__ import annotations

from tests.policies.aws_cases import SUITE as AWS
from tests.policies.docker_cases import SUITE as DOCKER
from tests.policies.kubernetes_cases import SUITE as KUBERNETES

SUITES = (DOCKER, KUBERNETES, AWS)
