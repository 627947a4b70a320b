"""The datastores of a stack as its services use them: scripts for their containers, and the broker's protocol."""

from collections.abc import Mapping
from typing import Any

import pika  # type: ignore[import-untyped]


def sql(statement: str, role: str = "strata") -> str:
    """A script for the container of PostgreSQL."""
    return (
        "psql --dbname=strata --set=ON_ERROR_STOP=1 -Atq"
        f' --command="SET ROLE {role}; SET search_path = public" --command="{statement}"'
    )


def redis(order: str) -> str:
    """A script for the container of Redis."""
    return f"REDISCLI_AUTH=$(</run/secrets/password) redis-cli --user admin -h 127.0.0.1 {order}"


def broker(found: Mapping[str, Any], **limits: float) -> pika.BlockingConnection:
    """A connection from the host, which is on every bridge. `found`: the containers, by service. Their
    `keeper` has the password. `limits`: of `pika.ConnectionParameters`."""
    (network,) = found["rabbitmq"].attrs["NetworkSettings"]["Networks"].values()
    status, password = found["keeper"].exec_run(["cat", "/run/secrets/rabbitmq-password"])
    assert status == 0, password
    return pika.BlockingConnection(
        pika.ConnectionParameters(
            host=network["IPAddress"],
            virtual_host="strata",
            credentials=pika.PlainCredentials("strata", password.decode().strip()),
            **limits,
        )
    )
