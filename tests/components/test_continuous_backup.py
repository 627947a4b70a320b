"""Continuous backups of a database: what the setting adds, on both platforms."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from strata.collect import collect
from strata.components import Datastore, DatastoreArgs
from strata.components.engines.postgres import POSTGRES
from strata.components.engines.postgres_backup import CONFIGURATION_FILE
from strata.components.engines.redis import REDIS
from strata.config import Settings
from strata.model import Service
from strata.stack import Stack
from tests.components.kubernetes import stack as on_kubernetes
from tests.components.stack import compose, refused
from tests.systems import backed_up

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


def cache(stack: Stack) -> None:
    Datastore("postgres", DatastoreArgs(stack=stack, engine=POSTGRES))
    Datastore("cache", DatastoreArgs(stack=stack, engine=REDIS))


def test_another_engine_rejects_it() -> None:
    wrong = Settings.model_validate({"services": {"cache": {"backup": {}}}})
    error, _ = refused(cache, settings=wrong)
    assert [problem.path for problem in error.problems] == ["strata:services.cache.backup"]
