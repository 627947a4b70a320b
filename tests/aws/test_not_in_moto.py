"""What stands in for moto is needed."""

from importlib import import_module

import pytest
from botocore import xform_name
from moto.core.responses import BaseResponse

from tests.aws.not_in_moto import Store


@pytest.mark.parametrize(("service", "operation"), sorted(Store("111122223333").names()))
def test_moto_still_lacks(service: str, operation: str) -> None:
    """Once moto has it, take it out of not_in_moto.py."""
    responses = [
        one
        for one in vars(import_module(f"moto.{service}.responses")).values()
        if isinstance(one, type) and issubclass(one, BaseResponse)
    ]
    assert responses
    assert not any(hasattr(one, xform_name(operation)) for one in responses)
