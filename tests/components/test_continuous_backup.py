"""Continuous backups of a database: what the setting adds, on both platforms."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from strata.collect import collect
from strata.components import (
    Datastore,
    DatastoreArgs,
    ObservabilityStack,
    ObservabilityStackArgs,
)
from strata.components.engines import restic_backup
from strata.components.engines.backups import AUTHORITY_FILE, SCRIPT_FILE
from strata.components.engines.postgres import POSTGRES
from strata.components.engines.postgres_backup import CONFIGURATION_FILE
from strata.components.engines.redis import REDIS_EPHEMERAL
from strata.config import Settings, load
from strata.errors import InvalidStackError
from strata.model import Service
from strata.model.text import parts
from strata.platforms.kubernetes.checks import check_aws_permissions
from strata.stack import Stack
from tests.components.kubernetes import stack as on_kubernetes
from tests.components.stack import compose, refused
from tests.systems import backed_up, backed_up_engines

NO_GENERATIONS: Mapping[str, int] = MappingProxyType({})
BACKUP: dict[str, Any] = {"services": {"postgres": {"backup": {}}}}


def settings(**more: Any) -> Settings:
    return Settings.model_validate({**BACKUP, **more})


def database(**more: Any) -> Service:
    (service,) = collect(backed_up.compose, settings(**more)).services
    return service


def configuration(generations: Mapping[str, int] = NO_GENERATIONS) -> str:
    recorded = compose(
        backed_up.compose, settings=settings(), generations=dict(generations)
    ).recorded
    return recorded.files[f"/postgres-run-secrets/{CONFIGURATION_FILE.rpartition('/')[2]}"]


def test_without_the_setting_nothing_is_added() -> None:
    (service,) = collect(backed_up.compose, Settings()).services
    assert service.image == "postgres"
    assert [volume.name for volume in service.volumes] == ["data"]
    assert not any("archive" in str(argument) for argument in service.command)


def test_the_repository_has_a_volume_of_its_own_that_is_kept() -> None:
    data, backups = database().volumes
    assert (backups.name, backups.size_gib, backups.cache) == ("backups", 2 * data.size_gib, False)
    recorded = on_kubernetes.compose(backed_up.compose, settings=settings()).recorded
    assert set(recorded.of("PersistentVolumeClaim")) == {"data-postgres-0", "backups-postgres-0"}


def test_the_passphrase_is_in_one_secret_file_only() -> None:
    content = configuration()
    (passphrase,) = [
        line.partition("=")[2]
        for line in content.splitlines()
        if line.startswith("repo1-cipher-pass=")
    ]
    assert "repo1-cipher-type=aes-256-cbc" in content
    assert len(passphrase) == 43
    composed = compose(backed_up.compose, settings=settings())
    assert passphrase not in str(composed.recorded.inputs)
    holders = [path for path, text in composed.recorded.files.items() if passphrase in text]
    assert len(holders) == 1


def test_a_rotated_password_leaves_the_repository_readable() -> None:
    before = configuration()
    assert configuration({"postgres": 2}) == before
    assert configuration({"postgres-backups": 2}) != before


def test_the_settings_are_those_of_the_tasks() -> None:
    service = database(
        services={"postgres": {"backup": {"fullDays": 3, "incrementalHours": 6, "fullsKept": 4}}}
    )
    assert service.environment["BACKUP_FULL_DAYS"] == "3"
    assert service.environment["BACKUP_INCREMENTAL_HOURS"] == "6"
    assert service.monitoring is not None
    (missing,) = [
        each for each in service.monitoring.alerts if each.name == "PostgresBackupMissing"
    ]
    assert f"> {(6 + 2) * 3600}" in missing.expression


S3: dict[str, Any] = {
    "bucket": "backups",
    "region": "eu-west-1",
    "accessKey": "backups-id",
    "secretKey": "backups-key",
}
KEYS = {"backups-id": "AKIAIDENTIFIER\n", "backups-key": "the/key+of=the-bucket"}


def with_bucket(secrets: Mapping[str, str] = KEYS, **more: Any) -> Settings:
    return Settings.model_validate(
        {"services": {"postgres": {"backup": {"s3": S3 | more}}}, "secrets": dict(secrets)}
    )


def in_bucket(**more: Any) -> dict[str, str]:
    """The part of the configuration that has the bucket."""
    recorded = compose(backed_up.compose, settings=with_bucket(**more)).recorded
    content = recorded.files[f"/postgres-run-secrets/{CONFIGURATION_FILE.rpartition('/')[2]}"]
    lines = (line.partition("=") for line in content.splitlines() if line.startswith("repo1-"))
    return {key.removeprefix("repo1-"): value for key, _, value in lines}


def test_a_bucket_of_s3_takes_the_place_of_the_volume() -> None:
    options = in_bucket()
    assert options["type"] == "s3"
    assert options["path"] == "/test"
    assert (options["s3-key"], options["s3-key-secret"]) == ("AKIAIDENTIFIER", KEYS["backups-key"])
    assert options["s3-endpoint"] == "s3.eu-west-1.amazonaws.com:443"
    assert options["s3-uri-style"] == "host"
    assert options["cipher-type"] == "aes-256-cbc"
    assert "storage-ca-file" not in options


@pytest.mark.parametrize(
    ("more", "endpoint", "host"),
    [
        ({"bucket": "of.dots"}, "s3.eu-west-1.amazonaws.com:443", "s3.eu-west-1.amazonaws.com"),
        ({"endpoint": "https://store.example.com:9000"}, "store.example.com:9000", None),
        ({"endpoint": "https://192.0.2.7"}, "postgres-bucket:443", None),
    ],
)
def test_another_store_has_the_bucket_in_the_path(
    more: dict[str, Any], endpoint: str, host: str | None
) -> None:
    options = in_bucket(**more)
    assert (options["s3-endpoint"], options["s3-uri-style"]) == (endpoint, "path")
    (server,) = collect(backed_up.compose, with_bucket(**more)).external_servers
    assert host is None or server.host == host


def test_the_keys_of_the_bucket_are_in_one_file_only() -> None:
    recorded = compose(backed_up.compose, settings=with_bucket()).recorded
    for key in KEYS.values():
        assert key.strip() not in str(recorded.inputs)
        assert len([path for path, text in recorded.files.items() if key.strip() in text]) == 1
    kubernetes = on_kubernetes.compose(
        backed_up.compose, settings=with_bucket(ranges=["192.0.2.0/24"])
    ).recorded
    holders = {
        type_
        for (type_, _), inputs in kubernetes.inputs.items()
        if KEYS["backups-key"] in str(inputs)
    }
    assert holders == {"Secret"}


def test_the_database_reaches_the_store_and_nothing_else_outside() -> None:
    recorded = compose(backed_up.compose, settings=with_bucket()).recorded
    joined = {one["name"] for one in recorded.service("postgres")["networksAdvanced"]}
    assert "strata-test-postgres-bucket-443" in joined
    assert "strata-test-postgres-outward" not in joined
    store = "backups.s3.eu-west-1.amazonaws.com"
    assert [one["host"] for one in recorded.service("postgres")["hosts"]] == [store]
    kubernetes = on_kubernetes.compose(
        backed_up.compose, settings=with_bucket(ranges=["192.0.2.0/24"])
    ).recorded
    outside = [
        rule
        for rule in kubernetes.inputs["NetworkPolicy", "postgres"]["spec"]["egress"]
        # The name of the store needs DNS.
        if "podSelector" not in rule["to"][0]
    ]
    assert outside == [
        {
            "to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}],
            "ports": [{"port": 443, "protocol": "TCP"}],
        }
    ]


def test_a_cluster_needs_the_addresses_of_the_store() -> None:
    error, _ = on_kubernetes.refused(backed_up.compose, settings=with_bucket())
    (problem,) = error.problems
    assert problem.path == "strata:services.postgres.backup.s3: ranges"
    assert problem.fix == "list the ranges (CIDR) of its addresses"


def test_a_store_with_an_authority_of_its_own() -> None:
    authority = "-----BEGIN CERTIFICATE-----\n"
    settings = with_bucket(endpoint="https://store.example.com", authority=authority)
    recorded = compose(backed_up.compose, settings=settings).recorded
    assert recorded.files["/postgres-run-secrets/bucket-ca.pem"] == authority
    assert in_bucket(authority=authority)["storage-ca-file"] == AUTHORITY_FILE


def test_a_key_that_is_no_line_of_a_configuration() -> None:
    wrong = {**KEYS, "backups-key": "a key\nrepo1-path=/elsewhere"}
    error, _ = refused(backed_up.compose, settings=with_bucket(wrong))
    assert [problem.path for problem in error.problems] == ["strata:secrets.backups-key"]
    assert "elsewhere" not in str(error)


def test_restic_uses_the_dual_stack_name_of_s3() -> None:
    settings = Settings.model_validate(
        {"services": {"redis": {"backup": {"s3": S3}}}, "secrets": KEYS}
    )
    composition = collect(backed_up_engines.compose, settings)
    (store,) = composition.external_servers
    assert store.host == "backups.s3.dualstack.eu-west-1.amazonaws.com"
    redis = next(each for each in composition.services if each.name == "redis")
    first, *_ = parts(redis.environment["RESTIC_REPOSITORY"])
    assert first == "s3:https://s3.dualstack.eu-west-1.amazonaws.com:443/backups/"


KEYLESS = {"accessKey": None, "secretKey": None}


def test_only_a_stack_on_eks_has_a_bucket_without_a_key() -> None:
    settings = with_bucket({}, **KEYLESS)
    error, _ = refused(backed_up.compose, settings=settings)
    (problem,) = error.problems
    assert problem.path == "strata:services.postgres.backup.s3: accessKey"
    assert "accessKey and secretKey" in problem.fix
    services = collect(backed_up.compose, settings).services
    assert set(check_aws_permissions(services)) == {problem}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"accessKey": None}, "accessKey is missing, and the other part is set"),
        ({"secretKey": None}, "secretKey is missing, and the other part is set"),
        (
            {**KEYLESS, "endpoint": "https://store.example.com"},
            "accessKey and secretKey are missing, and a store with an endpoint needs them",
        ),
    ],
)
def test_a_key_has_two_parts(more: dict[str, Any], message: str) -> None:
    s3 = {key: value for key, value in {**S3, **more}.items() if value is not None}
    backup = {"services": {"postgres": {"backup": {"s3": s3}}}}
    raw = {f"strata:{key}": json.dumps(value) for key, value in backup.items()}
    with pytest.raises(InvalidStackError) as raised:
        load(raw)
    (problem,) = raised.value.problems
    assert problem.path == "strata:services.postgres.backup.s3"
    assert (problem.message, problem.fix) == (message, "add it")


def test_databases_may_share_a_bucket() -> None:
    def two(stack: Stack) -> None:
        for name in ("postgres", "orders"):
            Datastore(name, DatastoreArgs(stack=stack, engine=POSTGRES))

    backup = {"backup": {"s3": S3}}
    settings = Settings.model_validate(
        {"services": {"postgres": backup, "orders": backup}, "secrets": KEYS}
    )
    recorded = compose(two, settings=settings).recorded
    assert {"postgres-bucket-1", "orders-bucket-1"} <= set(recorded.inputs)


def cache(stack: Stack) -> None:
    Datastore("postgres", DatastoreArgs(stack=stack, engine=POSTGRES))
    Datastore("cache", DatastoreArgs(stack=stack, engine=REDIS_EPHEMERAL))


def test_another_engine_rejects_it() -> None:
    wrong = Settings.model_validate({"services": {"cache": {"backup": {}}}})
    error, _ = refused(cache, settings=wrong)
    assert [problem.path for problem in error.problems] == ["strata:services.cache.backup"]


def engines(**backup: Any) -> Settings:
    secrets = KEYS if "s3" in backup else {}
    return Settings.model_validate({"services": {"redis": {"backup": backup}}, "secrets": secrets})


def redis(**backup: Any) -> Service:
    composition = collect(backed_up_engines.compose, engines(**backup))
    return next(each for each in composition.services if each.name == "redis")


def test_restic_runs_beside_the_server() -> None:
    plain = redis_without_backups()
    service = redis(fullDays=3, fullsKept=4)
    assert service.image == "redis-backup"
    assert service.command == ("bash", SCRIPT_FILE, "serve", *plain.command)
    assert [volume.name for volume in service.volumes] == ["data", "backups"]
    assert service.environment["BACKUP_KEEP_DAYS"] == "12"
    # What the server has is not less than before.
    assert service.resources.memory_mib - plain.resources.memory_mib == restic_backup.MEMORY_MIB


def redis_without_backups() -> Service:
    composition = collect(backed_up_engines.compose, Settings())
    return next(each for each in composition.services if each.name == "redis")


def test_opensearch_writes_its_snapshots_where_backups_are_read() -> None:
    def path_repo(settings: Settings) -> list[str]:
        recorded = compose(backed_up_engines.compose, settings=settings).recorded
        lines = recorded.files["/opensearch-etc-opensearch/opensearch.yml"].splitlines()
        return [line for line in lines if line.startswith("path.repo")]

    assert path_repo(Settings()) == []
    backed_up = Settings.model_validate({"services": {"opensearch": {"backup": {}}}})
    # Not the folder above, which has restic's repository.
    assert path_repo(backed_up) == ["path.repo: /var/lib/backups/opensearch"]


def test_the_secrets_of_restic_are_files_of_the_datastore_alone() -> None:
    recorded = compose(backed_up_engines.compose, settings=engines(s3=S3)).recorded
    passphrase = recorded.files["/redis-run-secrets/backups-passphrase"]
    for secret in (passphrase, *(key.strip() for key in KEYS.values())):
        assert secret not in str(recorded.inputs)
        assert len([path for path, text in recorded.files.items() if secret in text]) == 1


@pytest.mark.parametrize(
    ("more", "repository", "lookup"),
    [
        (
            {},
            "s3:https://s3.dualstack.eu-west-1.amazonaws.com:443/backups/test/restic/redis",
            "dns",
        ),
        (
            {"prefix": "a/b"},
            "s3:https://s3.dualstack.eu-west-1.amazonaws.com:443/backups/a/b/restic/redis",
            "dns",
        ),
        (
            {"endpoint": "https://192.0.2.7:9000"},
            "s3:https://redis-bucket:9000/backups/test/restic/redis",
            "path",
        ),
    ],
)
def test_restic_finds_the_bucket(more: dict[str, Any], repository: str, lookup: str) -> None:
    recorded = compose(backed_up_engines.compose, settings=engines(s3=S3 | more)).recorded
    environment = recorded.service("redis")["envs"]
    assert f"RESTIC_REPOSITORY={repository}" in environment
    assert f"BACKUP_BUCKET_LOOKUP={lookup}" in environment


def observed(stack: Stack) -> None:
    backed_up_engines.compose(stack)
    ObservabilityStack("observability", ObservabilityStackArgs(stack=stack))


def test_prometheus_reads_the_datastore_as_well_as_its_exporter() -> None:
    recorded = compose(observed, settings=engines()).recorded
    configuration = json.loads(recorded.files["/prometheus-run-secrets/prometheus.json"])
    targets = {
        job["job_name"]: each
        for job in configuration["scrape_configs"]
        for each in job.get("static_configs", ())
    }
    assert targets["redis"]["targets"] == ["redis-exporter-1.redis-exporter:9121"]
    assert targets["redis-backups"]["targets"] == ["redis-1.redis:9100"]
    assert targets["redis-backups"]["labels"]["service"] == "redis"
    rules = recorded.files["/prometheus-run-secrets/rules.json"]
    assert "DatastoreBackupMissing" in rules


def test_a_pod_has_the_same_backups() -> None:
    recorded = on_kubernetes.compose(backed_up_engines.compose, settings=engines()).recorded
    claims = recorded.of("PersistentVolumeClaim")
    assert {"data-redis-0", "backups-redis-0"} <= set(claims)
    pod = recorded.inputs["StatefulSet", "redis"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["args"][:3] == ["bash", SCRIPT_FILE, "serve"]
    assert {"name": "backups", "containerPort": 9100, "protocol": "TCP"} in container["ports"]
