"""Reads a Compose file (Compose Specification): every short form becomes its long one."""

import re
import shlex
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from strata.errors import InvalidStackError, Problem, StrataError

VARIABLE = re.compile(r"\$(?:\$|(\w+)|\{(\w+)(?:(:?[-?+])([^{}]*))?\})")
"""`$NAME`, `${NAME}`, `${NAME:-default}` and the other forms, and the escaped `$$`."""
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([bkmg]?)b?", re.IGNORECASE)
MIB_OF_UNIT = {"": 1 / 1024**2, "b": 1 / 1024**2, "k": 1 / 1024, "m": 1, "g": 1024}
DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h)")
SECONDS_OF_UNIT = {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
PORT = re.compile(
    r"(?:(?:[\d.]+|\[[\da-f:]+\]):)?(?:(\d+)(?:-\d+)?:)?(\d+)(?:-(\d+))?(?:/(tcp|udp))?"
)


def mib(text: object) -> int:
    """`512m`, `1.5G` or a number of bytes, in MiB, rounded up."""
    found = SIZE.fullmatch(str(text).strip())
    if found is None:
        raise ValueError(f"{text!r} is not a size")
    return max(1, -int(-float(found[1]) * MIB_OF_UNIT[found[2].lower()] // 1))


def seconds(text: object) -> int:
    """`1m30s` or a number of seconds, rounded up to a whole one."""
    text = f"{text}s" if str(text).isdigit() else str(text)
    parts = DURATION_PART.findall(text)
    if "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration")
    total = sum(float(number) * SECONDS_OF_UNIT[unit] for number, unit in parts)
    return -int(-timedelta(seconds=total).total_seconds() // 1)


def words(value: object) -> object:
    return tuple(shlex.split(value)) if isinstance(value, str) else value


def listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def mapped(value: object) -> object:
    """A list of `NAME=VALUE` as a mapping."""
    if isinstance(value, list):
        pairs = (str(each).partition("=") for each in value)
        return {name: text if equals else None for name, equals, text in pairs}
    return value


def hosts(value: object) -> object:
    """A list of `NAME:ADDRESS` or `NAME=ADDRESS` as a mapping."""
    if isinstance(value, list):
        pairs = (re.split("[:=]", str(each), maxsplit=1) for each in value)
        return {name: "".join(address) for name, *address in pairs}
    return value


def dependencies(value: object) -> object:
    return {name: {} for name in value} if isinstance(value, list) else value


def mount(value: object) -> object:
    """`SOURCE:TARGET[:OPTIONS]`, or TARGET alone, in the long form."""
    if not isinstance(value, str):
        return value
    source, _, rest = value.partition(":")
    if not rest:
        return {"type": "volume", "target": source}
    target, _, options = rest.partition(":")
    kind = "bind" if source.startswith((".", "/", "~")) else "volume"
    return {
        "type": kind,
        "source": source,
        "target": target,
        "read_only": "ro" in options.split(","),
    }


def port(value: object) -> object:
    if isinstance(value, dict):
        return value
    found = PORT.fullmatch(str(value))
    if found is None:
        raise ValueError(f"{value!r} is not a port")
    published, target, last, protocol = found.groups()
    return {
        "target": target,
        "last": last,
        "published": published,
        "protocol": protocol or "tcp",
    }


def source(value: object) -> object:
    return {"source": value} if isinstance(value, str) else value


def context(value: object) -> object:
    return {"context": value} if isinstance(value, str) else value


Mib = Annotated[int, BeforeValidator(mib)]
Seconds = Annotated[int, BeforeValidator(seconds)]
Words = Annotated[tuple[str, ...], BeforeValidator(words)]
Listed = Annotated[tuple[str, ...], BeforeValidator(listed)]
Scalar = str | int | float | bool | None
Variables = Annotated[Mapping[str, Scalar], BeforeValidator(mapped)]


def texts(variables: Mapping[str, Scalar]) -> dict[str, str]:
    """The values of variables as a program gets them. One without a value is the shell's."""
    found = {
        name: str(value) if value is not None else f"${{{name}}}"
        for name, value in variables.items()
    }
    return {
        name: value.lower() if value in ("True", "False") else value
        for name, value in found.items()
    }


class Part(BaseModel):
    """A part of the file. What it has no field for is kept, to be reported."""

    model_config = ConfigDict(extra="allow", frozen=True, coerce_numbers_to_str=True)

    @property
    def unknown(self) -> tuple[str, ...]:
        return tuple(sorted(key for key in self.model_extra or () if not key.startswith("x-")))


class Port(Part):
    target: int
    last: int | None = None
    published: int | None = None
    protocol: str = "tcp"


class Mount(Part):
    type: str = "volume"
    source: str | None = None
    target: str
    read_only: bool = False


class HealthCheck(Part):
    test: str | tuple[str, ...] = ()
    interval: Seconds = 30
    timeout: Seconds = 30
    retries: int = 3
    start_period: Seconds = 0
    disable: bool = False

    @property
    def command(self) -> tuple[str, ...]:
        """The command as it is run; empty if there is none."""
        if isinstance(self.test, str):
            return ("sh", "-c", self.test)
        kind, *rest = self.test or ("NONE",)
        if self.disable or kind == "NONE":
            return ()
        return ("sh", "-c", " ".join(rest)) if kind == "CMD-SHELL" else tuple(rest)


class Device(Part):
    capabilities: tuple[str, ...] = ()
    count: int | str | None = None
    device_ids: tuple[str, ...] = ()


class Limits(Part):
    cpus: float | None = None
    memory: Mib | None = None
    devices: tuple[Device, ...] = ()


class Constraints(Part):
    limits: Limits = Limits()
    reservations: Limits = Limits()


class Deploy(Part):
    replicas: int | None = None
    resources: Constraints = Constraints()


class Grant(Part):
    """A secret or configuration that a service or a build mounts."""

    source: str
    target: str | None = None


class Build(Part):
    context: str = "."
    target: str | None = None
    args: Variables = Field(default_factory=dict)
    secrets: tuple[Annotated[Grant, BeforeValidator(source)], ...] = ()


class Dependency(Part):
    condition: str = "service_started"


class Logging(Part):
    driver: str = "json-file"
    options: Mapping[str, str] = Field(default_factory=dict)


class Service(Part):
    image: str | None = None
    build: Annotated[Build | None, BeforeValidator(context)] = None
    command: Words | None = None
    entrypoint: Words | None = None
    environment: Variables = Field(default_factory=dict)
    env_file: object = None
    ports: tuple[Annotated[Port, BeforeValidator(port)], ...] = ()
    expose: tuple[Annotated[Port, BeforeValidator(port)], ...] = ()
    volumes: tuple[Annotated[Mount, BeforeValidator(mount)], ...] = ()
    tmpfs: Listed = ()
    depends_on: Annotated[Mapping[str, Dependency], BeforeValidator(dependencies)] = Field(
        default_factory=dict
    )
    links: tuple[str, ...] = ()
    healthcheck: HealthCheck | None = None
    deploy: Deploy = Deploy()
    mem_limit: Mib | None = None
    cpus: float | None = None
    shm_size: Mib | None = None
    gpus: str | tuple[Device, ...] | None = None
    runtime: str | None = None
    scale: int | None = None
    profiles: tuple[str, ...] = ()
    restart: str | None = None
    user: str | None = None
    secrets: tuple[Annotated[Grant, BeforeValidator(source)], ...] = ()
    configs: tuple[Annotated[Grant, BeforeValidator(source)], ...] = ()
    stop_grace_period: Seconds | None = None
    stop_signal: str | None = None
    extra_hosts: Annotated[Mapping[str, str], BeforeValidator(hosts)] = Field(default_factory=dict)
    cap_add: tuple[str, ...] = ()
    logging: Logging = Logging()
    labels: Variables = Field(default_factory=dict)


class Resource(Part):
    """A secret or configuration of the file."""

    file: str | None = None
    content: str | None = None
    environment: str | None = None


class ComposeFile(Part):
    services: Mapping[str, Service]
    volumes: Mapping[str, object] = Field(default_factory=dict)
    secrets: Mapping[str, Resource] = Field(default_factory=dict)
    configs: Mapping[str, Resource] = Field(default_factory=dict)


def read(path: Path) -> ComposeFile:
    """Reads a Compose file. Defaults of variables apply; a variable without one stays as `${NAME}`.

    Raises `StrataError` for a file that can't be read, and `InvalidStackError` with everything in it
    that isn't valid.
    """
    try:
        document = yaml.safe_load(path.read_text())
    except OSError as error:
        raise StrataError(f"{path}: {error.strerror}", "name a Compose file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StrataError(f"{path}: is not YAML: {error}", "correct the file") from None
    try:
        return ComposeFile.model_validate(interpolated(document))
    except ValidationError as error:
        raise InvalidStackError(_problems(path, error)) from None


def _problems(path: Path, error: ValidationError) -> Iterator[Problem]:
    for each in error.errors():
        place = ".".join(str(part) for part in each["loc"])
        message = each["msg"].removeprefix("Value error, ")
        message = f"{message[:1].lower()}{message[1:]}"
        fix = "correct the file; `docker compose config` checks it, too"
        yield Problem(f"{path}: {place}" if place else str(path), message, fix)


def interpolated(value: Any) -> Any:
    """The value with the defaults of its variables."""
    if isinstance(value, str):
        return VARIABLE.sub(_variable, value)
    if isinstance(value, dict):
        return {key: interpolated(each) for key, each in value.items()}
    if isinstance(value, list):
        return [interpolated(each) for each in value]
    return value


def _variable(found: re.Match[str]) -> str:
    name, operator, argument = found[1] or found[2], found[3] or "", found[4]
    if name is None:
        return "$"
    return argument if operator.endswith("-") else f"${{{name}}}"
