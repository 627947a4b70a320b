"""The containers of a stack's services and jobs, for commands that name some of them."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from strata.errors import InvalidStackError
from strata.ops.deployed import check_names, not_up
from strata.ops.volumes import BACKUP_KIND
from strata.platforms.docker.names import JOB, KIND, PREPARE, SERVICE, STACK


@dataclass(frozen=True, kw_only=True)
class Containers:
    """A stack on one Docker engine. `client` is a `docker.DockerClient`."""

    client: Any
    project: str
    stack: str

    def all(self) -> list[dict[str, Any]]:
        """As Docker lists them."""
        listed = self.client.api.containers(all=True, filters={"label": f"{STACK}={self.stack}"})
        return [
            each
            for each in listed
            if each["Names"][0].startswith(f"/{self.project}-{self.stack}-")
            and each["Labels"].get(KIND) not in (PREPARE, BACKUP_KIND)
        ]

    def of(self, names: Collection[str]) -> list[dict[str, Any]]:
        """The containers of these services and jobs; of all without names.

        Raises `InvalidStackError` if there is nothing of the stack, or no such service.
        """
        listed = self.all()
        if not listed:
            raise self.not_up()
        check_names(self.stack, names, {service_of(each) for each in listed})
        return [each for each in listed if not names or service_of(each) in names]

    def not_up(self) -> InvalidStackError:
        """The error for a stack without containers."""
        return not_up(self.stack, "on this Docker host")

    def short_name(self, listed: dict[str, Any]) -> str:
        """The name of a container without that of the stack: `api-1`."""
        return str(listed["Names"][0]).removeprefix(f"/{self.project}-{self.stack}-")


def service_of(listed: dict[str, Any]) -> str:
    """The service or the job of a container."""
    labels = listed["Labels"]
    return str(labels.get(SERVICE) or labels.get(JOB, ""))


def is_job(listed: dict[str, Any]) -> bool:
    return JOB in listed["Labels"]
