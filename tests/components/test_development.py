"""What the settings for development make of a service on Docker."""

from pathlib import Path
from typing import Any

import pytest

from strata.components import AppJob, AppJobArgs, Datastore, DatastoreArgs
from strata.components.engines.postgres import POSTGRES
from strata.components.engines.redis_cluster import REDIS_CLUSTER
from strata.config import Settings
from strata.images.source import Source, resolve
from strata.model import Port
from strata.platforms.docker.development import RELOADER
from strata.stack import Stack
from tests.components.example import SMALL, application, settings
from tests.components.stack import Composed, compose, refused
from tests.project import REPOSITORY

DEVELOP = {"develop": True}


def developed(changes: dict[str, Any], **fields: Any) -> Composed:
    """A stack of one application, `app`, with these settings of the service."""
    fields = {"image": "application", **fields}
    return compose(
        lambda stack: _app(stack, **fields), settings=settings(services={"app": changes})
    )


def problems(changes: dict[str, Any], **fields: Any) -> list[str]:
    fields = {"image": "application", **fields}
    error, recorded = refused(
        lambda stack: _app(stack, **fields), settings=settings(services={"app": changes})
    )
    assert set(recorded.inputs) == {"app"}, "the component, and nothing of Docker"
    return [f"{one.path}: {one.message}. {one.fix}" for one in error.problems]


def test_the_source_is_mounted_over_that_of_the_image() -> None:
    container = developed(DEVELOP).recorded.service("app")
    assert container["mounts"] == [
        {
            "type": "bind",
            "source": str(REPOSITORY / "apps" / name),
            "target": f"/opt/strata/apps/{name}",
            "readOnly": True,
        }
        for name in ("common", "application", "api", "worker")
    ]
    assert {"label": "strata.development", "value": "source"} in container["labels"]


@pytest.mark.parametrize(
    ("fields", "program"),
    [
        ({}, ["python3", "-m", "apps.api"]),
        ({"command": ("python3", "-m", "apps.worker")}, ["python3", "-m", "apps.worker"]),
    ],
)
def test_the_program_is_restarted_by_a_change(fields: dict[str, Any], program: list[str]) -> None:
    container = developed(DEVELOP, **fields).recorded.service("app")
    folders = [f"/opt/strata/apps/{name}" for name in ("common", "application", "api", "worker")]
    assert container["entrypoints"] == [
        *("bash", "-c", RELOADER, "reloader", *folders, "--"),
        *("/usr/bin/tini", "-s", "--", *program),
    ]
    assert "command" not in container


def test_nothing_else_differs() -> None:
    """The hardening, the limits, the networks and the health check stay."""
    plain = developed({}).recorded.service("app")
    container = developed(DEVELOP).recorded.service("app")
    differing = {name for name in {*plain, *container} if plain.get(name) != container.get(name)}
    assert differing == {"entrypoints", "mounts", "labels"}
    assert developed({"develop": False}).recorded.service("app") == plain


def test_what_prepares_a_service_runs_once() -> None:
    recorded = developed(DEVELOP, prepare=("fetch",)).recorded
    prepare = recorded.inputs["app-1-prepare"]
    assert "entrypoints" not in prepare
    assert prepare["command"] == ["fetch"]
    assert prepare["mounts"] == recorded.service("app")["mounts"]


def test_the_end_of_development_makes_a_new_container() -> None:
    """The provider keeps the last entry point where none is given."""
    triggers = [
        developed(changes).recorded.replacement_triggers["app-1"][0] for changes in (DEVELOP, {})
    ]
    assert triggers[0] != triggers[1]


@pytest.mark.parametrize(
    ("dockerfile", "expected"),
    [
        (
            "COPY serve.py /opt/\nCMD serve\n",
            "has no folder that its Dockerfile copies from this machine. remove the key, or COPY the"
            " source as a folder (COPY src /opt/app/src)",
        ),
        ("COPY src /opt/model\n", "doesn't say what the image runs. add CMD to it"),
    ],
)
def test_a_dockerfile_that_says_too_little(tmp_path: Path, dockerfile: str, expected: str) -> None:
    (problem,) = problems(DEVELOP, image=str(_image(tmp_path, dockerfile)))
    assert problem.startswith("strata:services.app.develop: ")
    assert problem.endswith(expected)


def test_an_engine_has_no_source() -> None:
    (problem,) = problems(DEVELOP, image="opensearch")
    assert problem.startswith("strata:services.app.develop: the image opensearch has no folder")


def test_the_service_must_be_able_to_read_the_source(tmp_path: Path) -> None:
    folder = _image(tmp_path, "COPY src /opt/model\nCMD serve\n")
    (folder / "src" / "serve.py").chmod(0o600)
    assert problems(DEVELOP, image=str(folder)) == [
        f"strata:services.app.develop: the service, user 10001:10001, can't read {folder}/src/serve.py."
        f" chmod -R o+rX {folder}/src"
    ]


@pytest.mark.parametrize(
    ("fields", "image", "program"),
    [
        (
            {},
            "debugger:application",
            [
                "python3",
                "-Xfrozen_modules=off",
                "/opt/debugger/debugpy",
                "--listen",
                "ADDRESS:5678",
                "-m",
                "apps.api",
            ],
        ),
        (
            {"command": ("python3", "-m", "celery", "worker"), "image": "project88"},
            "debugger:project88",
            [
                *(
                    "python3",
                    "-Xfrozen_modules=off",
                    "/opt/debugger/debugpy",
                    "--listen",
                    "ADDRESS:5678",
                ),
                *("-m", "celery", "worker"),
            ],
        ),
        (
            {"image": "node-intelligence-api"},
            "node-intelligence-api",
            ["node", "--inspect=ADDRESS:5678", "src/main.js"],
        ),
    ],
)
def test_a_debugger_can_connect_on_loopback_only(
    fields: dict[str, Any], image: str, program: list[str]
) -> None:
    composed = developed({"debugPort": 15678}, **fields)
    container = composed.recorded.service("app")
    (network,) = [
        each for each in container["networksAdvanced"] if each["name"].endswith("app-outward")
    ]
    expected = [word.replace("ADDRESS", network["ipv4Address"]) for word in program]
    assert container["entrypoints"] == ["/usr/bin/tini", "-s", "--", *expected]
    assert container["ports"] == [
        {"internal": 5678, "external": 15678, "ip": "127.0.0.1", "protocol": "tcp"}
    ]
    assert composed.outputs["urls"] == {"app-debugger": "tcp://127.0.0.1:15678"}
    assert "mounts" not in container
    (app,) = composed.outputs["services"]
    assert app["image"] == resolve(image, Source.LOCAL)
    assert {"label": "strata.development", "value": "debugger"} in container["labels"]
    # A program that is stopped at a breakpoint isn't killed.
    assert "kill" not in " ".join(container["healthcheck"]["tests"])


def test_a_program_that_is_debugged_restarts_too() -> None:
    container = developed({**DEVELOP, "debugPort": 15678}).recorded.service("app")
    entry_point = container["entrypoints"]
    assert entry_point[entry_point.index("--") + 1 :][:6] == [
        *("/usr/bin/tini", "-s", "--", "python3", "-Xfrozen_modules=off", "/opt/debugger/debugpy"),
    ]
    assert {"label": "strata.development", "value": "source, debugger"} in container["labels"]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (
            "nginx",
            "nginx runs neither python3 nor node. remove the key, or run the program by one of them:"
            " python3 -m NAME",
        ),
        (
            "FOLDER",
            "FOLDER isn't built from Strata's Python image, to which the debugger is added. start its"
            " Dockerfile with ARG PARENT and FROM ${PARENT}",
        ),
    ],
)
def test_no_debugger_for_it(tmp_path: Path, image: str, expected: str) -> None:
    folder = str(_image(tmp_path, 'CMD ["python3", "serve.py"]\n'))
    assert problems({"debugPort": 15678}, image=image.replace("FOLDER", folder)) == [
        f"strata:services.app.debugPort: {expected}".replace("FOLDER", folder)
    ]


def test_a_debugger_has_a_port_of_its_own() -> None:
    (problem,) = problems({"debugPort": 18000}, published=18000)
    assert "port 18000 is already published by app" in problem


def test_a_job_ends() -> None:
    def describe(stack: Stack) -> None:
        AppJob("app", AppJobArgs(stack=stack, image="application", resources=SMALL))

    error, _ = refused(describe, settings=settings(services={"app": {**DEVELOP, "debugPort": 1}}))
    assert [f"{one.path}: {one.message}" for one in error.problems] == [
        "strata:services.app.debugPort: a job runs once, and ends",
        "strata:services.app.develop: a job runs once, and ends",
    ]


def test_a_port_is_published_on_loopback() -> None:
    composed = compose(_postgres, settings=database({"ports": {"postgres": 15432}}))
    container = composed.recorded.service("postgres")
    assert container["ports"] == [
        {"internal": 5432, "external": 15432, "ip": "127.0.0.1", "protocol": "tcp"}
    ]
    assert composed.outputs["urls"] == {"postgres": "tcp://127.0.0.1:15432"}
    (network,) = container["networksAdvanced"]
    assert network["name"].endswith("postgres-outward")
    assert f"listen_addresses=127.0.0.1,{network['ipv4Address']}" in container["command"]


def test_other_ports_stay_as_they_are() -> None:
    recorded = developed(
        {"ports": {"http": 18001}}, ports=(Port(name="more", number=9000),)
    ).recorded
    ports = recorded.service("app")["ports"]
    assert [(port["internal"], port["external"]) for port in ports] == [(8000, 18001)]
    recorded = developed({"debugPort": 15678}, published=18000).recorded
    ports = recorded.service("app")["ports"]
    assert [(port["internal"], port["external"]) for port in ports] == [
        (8000, 18000),
        (5678, 15678),
    ]


def test_an_unknown_port_is_not_published() -> None:
    assert problems({"ports": {"htpp": 18000}}) == [
        "strata:services.app.ports.htpp: app has no such port. use one of: http"
    ]


IN_MEMORY = {"volumes": {"data": {"tmpfsMib": 256}}}


def database(changes: dict[str, Any]) -> Settings:
    return settings(services={"postgres": changes})


def test_data_in_memory_has_a_size_and_no_volume(
    caplog: pytest.LogCaptureFixture,
) -> None:
    recorded = compose(_postgres, settings=database(IN_MEMORY)).recorded
    container = recorded.service("postgres")
    assert container["tmpfs"]["/var/lib/postgresql/data"] == (
        "rw,nosuid,nodev,noexec,size=256m,mode=0700,uid=999,gid=999"
    )
    assert container["memory"] == 512, "which includes it"
    assert [name for name in recorded.of("Volume") if name.endswith("-data")] == []
    assert "/var/lib/postgresql/data" not in [each["target"] for each in container["mounts"]]
    assert {"label": "strata.in-memory", "value": "data"} in container["labels"]
    assert (
        "postgres: volume data is in memory, up to 256 MiB: its data is lost when the container"
        " stops, and has no backup"
    ) in caplog.text


def test_each_replica_of_a_cluster_has_its_data_in_memory() -> None:
    changed = {**IN_MEMORY, "memoryMib": 512}
    recorded = compose(_cluster, settings=settings(services={"redis": changed})).recorded
    assert [
        "size=256m" in recorded.inputs[f"redis-{ordinal}"]["tmpfs"]["/data"] for ordinal in range(6)
    ] == [True] * 6
    assert [name for name in recorded.of("Volume") if "data" in name] == []


def test_data_in_memory_leaves_the_service_what_it_needs() -> None:
    error, _ = refused(_postgres, settings=database({**IN_MEMORY, "memoryMib": 383}))
    assert [f"{one.path}: {one.message}. {one.fix}" for one in error.problems] == [
        "strata:services.postgres.volumes.data.tmpfsMib: 256 MiB and the 128 MiB that it needs don't"
        " fit in its memory of 383 MiB. set strata:services.postgres.memoryMib to at least 384"
    ]
    compose(_postgres, settings=database({**IN_MEMORY, "memoryMib": 384}))


def test_an_unknown_volume_is_not_in_memory() -> None:
    error, _ = refused(_postgres, settings=database({"volumes": {"date": {"tmpfsMib": 64}}}))
    assert [f"{one.path}: {one.message}. {one.fix}" for one in error.problems] == [
        "strata:services.postgres.volumes.date: postgres has no such volume. use one of: data"
    ]


def _postgres(stack: Stack) -> None:
    Datastore("postgres", DatastoreArgs(stack=stack, engine=POSTGRES))


def _cluster(stack: Stack) -> None:
    Datastore("redis", DatastoreArgs(stack=stack, engine=REDIS_CLUSTER))


def _app(stack: Stack, **fields: Any) -> None:
    application(stack, "app", **fields)


def _image(tmp_path: Path, dockerfile: str) -> Path:
    """A folder of an image, with the folder `src`."""
    folder = tmp_path / "model"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "serve.py").touch()
    (folder / "Dockerfile").write_text(f"FROM debian\n{dockerfile}")
    return folder
