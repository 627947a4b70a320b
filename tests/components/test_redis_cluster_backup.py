"""Continuous backups of a Redis Cluster: what the setting adds, on both platforms."""

from collections.abc import Mapping
from typing import Any

import pytest

from strata.collect import collect
from strata.components import Datastore, DatastoreArgs
from strata.components.engines import restic_backup
from strata.components.engines.redis import ADMIN_PASSWORD_FILE
from strata.components.engines.redis_cluster import REDIS_CLUSTER
from strata.config import Settings
from strata.model import Secret, Service, UserPassword
from strata.stack import Stack
from tests.components.kubernetes import stack as on_kubernetes
from tests.components.stack import compose, refused
from tests.systems import redis_cluster

BACKUP: Mapping[str, Any] = {"services": {"store": {"backup": {}}}}


def services(settings: Mapping[str, Any] = BACKUP) -> dict[str, Service]:
    composition = collect(redis_cluster.compose, Settings.model_validate(settings))
    return {each.name: each for each in composition.services}


def test_a_service_beside_the_nodes_has_the_backups() -> None:
    assert set(services({})) == {"store", "client"}
    found = services()
    assert set(found) == {"store", "store-backup", "client"}
    assert (found["store"].image, found["store-backup"].image) == ("redis", "redis-backup")
    assert [volume.name for volume in found["store-backup"].volumes] == ["data", "backups"]
    (link,) = found["store-backup"].links
    assert (link.service, link.port) == ("store", "redis")


def test_clients_start_after_lost_keys_are_restored() -> None:
    assert services({})["client"].after == ()
    found = services()
    assert found["client"].after == ("store-backup",)
    order = list(found)
    assert order.index("store-backup") < order.index("client")
    # They can't connect to it.
    assert "store-backup" not in {link.service for link in found["client"].links}


def test_it_has_the_memory_of_a_node_as_well_as_restics() -> None:
    found = services({"services": {"store": {"backup": {}, "memoryMib": 500}}})
    assert found["store"].resources.memory_mib == 500
    assert found["store-backup"].resources.memory_mib == 500 + restic_backup.MEMORY_MIB
    # As in the configuration of the nodes: 60%.
    assert found["store-backup"].environment["MAXMEMORY"] == str(300 * 1024**2)


def test_the_setting_is_that_of_the_datastore() -> None:
    settings = Settings.model_validate(
        {"services": {"store-backup": {"backup": {}}, **BACKUP["services"]}}
    )
    error, _ = refused(redis_cluster.compose, settings=settings)
    assert [each.path for each in error.problems] == ["strata:services.store-backup.backup"]


S3: Mapping[str, Any] = {"bucket": "backups", "region": "eu-west-1"}


def test_the_repository_has_the_name_of_the_datastore() -> None:
    bucket = {**S3, "accessKey": "backups-id", "secretKey": "backups-key"}
    settings = Settings.model_validate(
        {
            "services": {"store": {"backup": {"s3": bucket}}},
            "secrets": {"backups-id": "AKIAIDENTIFIER", "backups-key": "the-key"},
        }
    )
    recorded = compose(redis_cluster.compose, settings=settings).recorded
    environment = recorded.service("store-backup")["envs"]
    repository = "s3:https://s3.dualstack.eu-west-1.amazonaws.com:443/backups/test/restic/store"
    assert f"RESTIC_REPOSITORY={repository}" in environment
    assert "store-bucket-1" in recorded.inputs
    for secret in ("the-key", recorded.files["/store-backup-run-secrets/backups-passphrase"]):
        assert secret not in str(recorded.inputs)
        assert len([path for path, text in recorded.files.items() if secret in text]) == 1


def test_a_bucket_without_a_key_names_the_datastore() -> None:
    settings = Settings.model_validate({"services": {"store": {"backup": {"s3": S3}}}})
    error, _ = refused(redis_cluster.compose, settings=settings)
    assert [each.path for each in error.problems] == ["strata:services.store.backup.s3: accessKey"]


def test_the_administrators_password_is_a_file_of_the_nodes_and_of_the_backups() -> None:
    secret = Secret("store", UserPassword("admin"))
    holders = {
        service.name
        for service in services().values()
        for file in service.files
        if file.path == ADMIN_PASSWORD_FILE and file.content == secret
    }
    assert holders == {"store", "store-backup"}
    recorded = compose(redis_cluster.compose, settings=Settings.model_validate(BACKUP)).recorded
    assert recorded.files["/store-backup-run-secrets/password"] not in str(recorded.inputs)


@pytest.mark.parametrize("mutual_tls", [False, True])
def test_it_is_a_client_with_a_certificate_if_the_nodes_require_one(mutual_tls: bool) -> None:
    def describe(stack: Stack) -> None:
        Datastore("store", DatastoreArgs(stack=stack, engine=REDIS_CLUSTER, mutual_tls=mutual_tls))

    recorded = compose(describe, settings=Settings.model_validate(BACKUP)).recorded
    folder = "/store-backup-run-secrets"
    assert (f"{folder}/client-certificate.pem" in recorded.files) is mutual_tls
    script = recorded.files[f"{folder}/backups-engine"]
    # Of the commands, and of the server that copies keys.
    assert ("--tls --cacert" in script) is mutual_tls
    assert ("--tls-cluster yes" in script) is mutual_tls


def test_a_pod_has_the_same_backups() -> None:
    recorded = on_kubernetes.compose(
        redis_cluster.compose, settings=Settings.model_validate(BACKUP)
    ).recorded
    claims = recorded.of("PersistentVolumeClaim")
    assert {"data-store-backup-0", "backups-store-backup-0"} <= set(claims)
    pod = recorded.inputs["StatefulSet", "store-backup"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["readinessProbe"]["httpGet"]["port"] == restic_backup.METRICS_PORT
