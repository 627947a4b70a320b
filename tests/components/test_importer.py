"""`strata import`: what a Compose file becomes is run on Pulumi mocks, and what it says is complete."""

from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pulumi
import pytest
from typer.testing import CliRunner

from strata.cli import app
from strata.config import Settings
from strata.errors import InvalidStackError, StrataError
from strata.importer.system_file import SystemFile, report, translate
from strata.model import Build, BuildSecret, GpuMode, HttpProbe, Service, Workload
from strata.stack import Stack
from tests.components.stack import refused
from tests.loop import own_loop
from tests.project import REPOSITORY

DIGEST = f"sha256:{'0' * 64}"
SHOP = f"""\
    x-limits: &limits
      resources: {{limits: {{cpus: "0.5", memory: 256M}}}}
    services:
      api:
        image: registry.example.com/api@{DIGEST}
        user: "1000"
        ports: ["127.0.0.1:8080:8000", "9229:9229"]
        environment:
          DATABASE_URL: postgresql://app:${{DB_PASSWORD}}@db:5432/app
          REDIS_HOST: cache
          REDIS_PORT: 6379
          MODEL_URL: http://model:8001
          OPENAI_API_KEY: ${{OPENAI_API_KEY}}
          LOG_LEVEL: ${{LOG_LEVEL:-info}}
          DEBUG: true
        depends_on:
          db: {{condition: service_healthy}}
          migrate: {{condition: service_completed_successfully}}
        deploy: {{<<: *limits, replicas: 2}}
        healthcheck:
          test: ["CMD-SHELL", "curl -f http://localhost:8000/healthz || exit 1"]
          interval: 1m30s
        volumes: ["uploads:/uploads", "./settings.ini:/etc/app/settings.ini:ro"]
        stop_grace_period: 30s
      migrate:
        image: registry.example.com/api@{DIGEST}
        command: python -m migrate --now
        environment: ["DB_HOST=db"]
        depends_on: [db]
      model:
        image: registry.example.com/model@{DIGEST}
        expose: [8001]
        shm_size: 2gb
        mem_limit: 6g
        secrets: [hf_token]
        deploy:
          resources:
            reservations: {{devices: [{{driver: nvidia, count: 1, capabilities: [gpu]}}]}}
      db:
        image: pgvector/pgvector:pg16
        environment: {{POSTGRES_PASSWORD: guessed}}
        volumes: ["db:/var/lib/postgresql/data"]
      cache: {{image: "redis:7-alpine"}}
    volumes: {{db: {{}}, uploads: {{}}}}
    secrets: {{hf_token: {{file: ./token}}}}
"""


def imported(folder: Path, text: str) -> SystemFile:
    file = folder / "compose.yaml"
    file.write_text(dedent(text))
    return translate(file, "shop")


def module(system: SystemFile) -> ModuleType:
    found = ModuleType("shop")
    exec(system.code, found.__dict__)  # noqa: S102 - that it runs is what is tested
    return found


@own_loop()
def workloads(system: SystemFile) -> dict[str, Workload]:
    """What the system describes, by name."""
    stack = Stack(Settings.model_validate({}))
    module(system).compose(stack)
    stack.complete()
    return {each.name: each for each in stack.composition.workloads}


def said(system: SystemFile) -> str:
    return "\n".join(report(system))


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SystemFile:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "settings.ini").write_text("[app]\n")
    pulumi.runtime.set_all_config({"shop:openaiApiKey": "key", "shop:hfToken": "token"})
    return imported(tmp_path, SHOP)


def test_services_become_components(shop: SystemFile) -> None:
    found = workloads(shop)
    api, model, migrate = found["api"], found["model"], found["migrate"]
    assert isinstance(api, Service)
    assert isinstance(model, Service)
    assert (api.user, api.replicas, api.resources.memory_mib) == ("1000:1000", 2, 256)
    assert api.resources.cpu == 0.5
    assert [(port.number, port.published) for port in api.ports] == [(8000, 8080), (9229, None)]
    assert api.probe.check == HttpProbe(port=8000, path="/healthz")
    assert api.probe.interval_seconds == 90
    assert [(volume.name, volume.path) for volume in api.volumes] == [("uploads", "/uploads")]
    assert api.stop_grace_seconds == 30
    assert api.after == ("migrate",)
    assert migrate.command == ("python", "-m", "migrate", "--now")
    assert model.gpu.mode is GpuMode.REQUIRE
    assert (model.resources.memory_mib, model.resources.shared_memory_mib) == (6144, 2048)
    assert found["db"].image == "postgres"


def test_links_follow_from_dependencies_and_variables(shop: SystemFile) -> None:
    found = workloads(shop)
    assert {link.service for link in found["api"].links} == {"db", "cache", "model"}
    assert {link.service for link in found["migrate"].links} == {"db"}
    environment = found["api"].environment
    assert environment["DATABASE_HOST"] == "db"
    assert environment["REDIS_HOST"] == "cache"
    assert environment["MODEL_URL"] == "http://model:8001"
    assert (environment["LOG_LEVEL"], environment["DEBUG"]) == ("info", "true")
    assert "DATABASE_URL" not in environment


def test_secrets_become_files(shop: SystemFile) -> None:
    found = workloads(shop)
    assert "guessed" not in shop.code
    assert found["api"].environment["OPENAI_API_KEY_FILE"] == "/run/secrets/openai-api-key"
    paths = {file.path for file in found["api"].files}
    assert {"/run/secrets/openai-api-key", "/etc/app/settings.ini"} <= paths
    assert "/run/secrets/hf_token" in {file.path for file in found["model"].files}
    assert "pulumi config set --secret shop:openaiApiKey" in said(shop)


def test_the_stack_has_no_problem(shop: SystemFile) -> None:
    """But the digests, which no registry knows."""
    assert shop.left_out == ()
    assert "9229" in shop.code


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("DB_PASS", "0xab12", True),
        ("ENCRYPTION_KEY", "0xab12", True),
        ("HF_TOKEN", "0xab12", True),
        ("SENTRY_DSN", "https://me:word@sentry.example.com/1", True),
        ("PUBLIC_KEY", "0xab12", False),
        ("PASSWORD_FILE", "/run/secrets/x", False),
        ("TOKEN_PATH", "/run/secrets/x", False),
        ("SIGNING_SECRET", "/9j4AAQSkZJRg==", True),
        ("TOKEN_CHECK", "true", False),
        ("KEYCLOAK_URL", "https://login.example.com", False),
    ],
)
def test_what_is_secret(tmp_path: Path, name: str, value: str, secret: bool) -> None:
    image = f"example.com/app@{DIGEST}"
    text = f"services: {{app: {{image: '{image}', environment: {{{name}: '{value}'}}}}}}"
    code = imported(tmp_path, text).code
    assert ("require_secret" in code) is secret
    assert (value in code.replace(f"{name}_FILE", "").replace(f'"{name}"', "")) is not secret


def test_what_is_not_safe_or_not_sayable_is_listed(tmp_path: Path) -> None:
    system = imported(
        tmp_path,
        """\
        services:
          app:
            build: {context: ., dockerfile: Dockerfile.prod, ssh: [default]}
            privileged: true
            network_mode: host
            env_file: .env
            entrypoint: ["/start"]
            volumes:
              - ./src:/app/src
              - /var/run/docker.sock:/var/run/docker.sock
              - shared:/data
            sysctls: {net.core.somaxconn: 1024}
          other:
            image: example/app:1
            command: run
            volumes: ["shared:/data"]
            user: root
        """,
    )
    told = said(system)
    for text in (
        "app: build.dockerfile: has no counterpart",
        "app: build.ssh: has no counterpart",
        "app: privileged: it makes the container root on the host",
        "app: network_mode: it takes the container out of its networks",
        "app: env_file: isn't read, because it may contain secrets",
        "app: volumes../src: folders of the host aren't mounted",
        "app: volumes./var/run/docker.sock: it makes the container root on the host",
        "app, other: volumes.shared: is shared by services; here each has its own",
        "app: sysctls: has no counterpart",
        "other: image: example/app:1 isn't pinned",
        "other: user: root becomes 10001:10001",
        "app, other: probe: has neither a port nor a health check",
    ):
        assert text in told
    for text in ("privileged", "docker.sock", "host"):
        assert text not in system.code
    assert 'entry_point=("/start",)' in system.code


def test_a_build_keeps_its_target_arguments_and_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pulumi.runtime.set_all_config({"shop:version": "7"})
    system = imported(
        tmp_path,
        """\
        services:
          api:
            build:
              context: api
              target: web
              args:
                PYTHON: 3.13
                DEBUG: true
                NAME: api-${VERSION}
                NPM_TOKEN: "0xab12"
              secrets: [index, {source: netrc, target: login}, vault]
            ports: ["8000"]
          worker: {build: {context: ./api, args: [VERSION]}, ports: ["8001"]}
        secrets:
          index: {environment: INDEX_TOKEN}
          netrc: {file: ~/.netrc}
          vault: {external: true}
        """,
    )
    found = workloads(system)
    assert found["api"].image == Build(
        "./api",
        target="web",
        arguments={"PYTHON": "3.13", "DEBUG": "true", "NAME": "api-7"},
        secrets={
            "index": BuildSecret(environment="INDEX_TOKEN"),
            "login": BuildSecret(file="~/.netrc"),
        },
    )
    assert found["worker"].image == Build("./api", arguments={"VERSION": "7"})
    assert "0xab12" not in system.code
    for text in (
        "api: build.args.NPM_TOKEN: is a credential, which the history of the image would show",
        "api: build.secrets.vault: has neither a variable nor a file here",
    ):
        assert text in said(system)


def test_what_is_missing_is_reported_by_the_stack_too(tmp_path: Path) -> None:
    system = imported(tmp_path, "services: {app: {image: 'example/app:1', ports: ['80']}}")
    error, recorded = refused(module(system).compose)
    assert "unknown image 'example/app:1'" in str(error)
    assert "a reference by digest" in str(error)
    assert set(recorded.types.values()) == {"strata:components:AppService"}


def test_a_proxy_becomes_the_gateway_and_observers_the_observability_stack(tmp_path: Path) -> None:
    system = imported(
        tmp_path,
        f"""\
        services:
          web: {{image: "example.com/web@{DIGEST}", expose: ["3000"]}}
          nginx: {{image: "nginx:1.27", ports: ["80:80"], depends_on: [web]}}
          grafana: {{image: grafana/grafana}}
          prometheus: {{image: prom/prometheus}}
        """,
    )
    found = workloads(system)
    assert {"web", "gateway", "prometheus", "log-agent"} <= found.keys()
    assert "grafana" not in found
    assert ("web", 3000) in {(link.service, link.number) for link in found["gateway"].links}
    assert "nginx: image: becomes a Gateway" in said(system)


def test_only_services_behind_the_proxy_have_routes(tmp_path: Path) -> None:
    system = imported(
        tmp_path,
        f"""\
        services:
          proxy: {{image: "traefik:v3", depends_on: [migrate]}}
          web: {{image: "example.com/a@{DIGEST}", ports: ["80"], labels: [traefik.enable=true]}}
          other: {{image: "example.com/b@{DIGEST}", ports: ["81"], labels: [owner=me]}}
          migrate: {{image: "example.com/c@{DIGEST}", expose: ["82"], restart: "no"}}
        """,
    )
    found = workloads(system)
    assert {link.service for link in found["gateway"].links} == {"web"}


def test_the_password_of_a_datastore_is_not_passed_twice(tmp_path: Path) -> None:
    system = imported(
        tmp_path,
        f"""\
        services:
          app:
            image: example.com/app@{DIGEST}
            ports: ["80"]
            depends_on: [db]
            secrets: [db-password]
          db: {{image: "postgres:16", secrets: [db-password]}}
          proxy: {{image: nginx, depends_on: [db]}}
        secrets: {{db-password: {{file: ./password}}}}
        """,
    )
    found = workloads(system)
    paths = [file.path for file in found["app"].files]
    assert len(paths) == len(set(paths))
    assert "is the password of db" in said(system)
    # There is nothing to route to.
    assert "gateway" not in found


def test_a_cycle_is_cut_and_said(tmp_path: Path) -> None:
    system = imported(
        tmp_path,
        f"""\
        services:
          a: {{image: "example.com/a@{DIGEST}", ports: ["80"], environment: {{B: "http://b:81"}}}}
          b: {{image: "example.com/b@{DIGEST}", ports: ["81"], depends_on: [a]}}
        """,
    )
    assert "a: links: it doesn't wait for b, which waits for it" in said(system)
    found = workloads(system)
    assert [(link.service, link.waits) for link in found["a"].links] == [("b", False)]
    assert [(link.service, link.waits) for link in found["b"].links] == [("a", True)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("services: [", "is not YAML"),
        ("volumes: {}", "services: field required"),
        ("services: {a: {mem_limit: lots}}", "services.a.mem_limit: 'lots' is not a size"),
        ("services: {a: {ports: ['http']}}", "services.a.ports.0: 'http' is not a port"),
        (
            "services: {a: {healthcheck: {interval: soon}}}",
            "services.a.healthcheck.interval: 'soon' is not a duration",
        ),
    ],
)
def test_what_is_no_compose_file_is_one_clear_error(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises((StrataError, InvalidStackError), match=r"compose\.yaml") as caught:
        imported(tmp_path, text)
    assert says in str(caught.value)


def test_the_code_is_formatted(shop: SystemFile, tmp_path: Path) -> None:
    """As ruff would: it is the first thing that a person commits."""
    import subprocess
    import sys

    (tmp_path / "shop.py").write_text(shop.code)
    ruff = Path(sys.executable).with_name("ruff")
    config = ["--config", str(REPOSITORY / "pyproject.toml")]
    config += ["--config", "lint.isort.known-first-party=['strata']"]
    for command in (["format", "--check"], ["check", "--select", "E,F,I"]):
        done = subprocess.run(
            [ruff, *command, *config, "shop.py"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_command_writes_a_new_file_only(tmp_path: Path) -> None:
    compose = tmp_path / "compose.yaml"
    compose.write_text("services: {db: {image: 'postgres:16'}}")
    output = tmp_path / "shop.py"
    arguments = ["import", str(compose), "--output", str(output)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "pulumi config set strata:system shop" in done.output
    written = output.read_text()
    assert "POSTGRES" in written
    compose.write_text("services: {}")
    assert CliRunner().invoke(app, arguments).exit_code != 0
    assert output.read_text() == written
