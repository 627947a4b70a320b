"""Settings that rules of several platforms share."""

from strata.policies.crossguard.rule import setting
from strata.policies.rules import facts

# The last part of an image's name.
DATASTORE_IMAGES = (
    *("postgres", "postgresql", "pgvector", "timescaledb", "redis", "valkey", "rabbitmq", "mysql"),
    *("mariadb", "mongo", "mongodb", "memcached", "cassandra", "elasticsearch", "opensearch"),
    *("clickhouse", "questdb", "memgraph", "neo4j", "eventstore", "kurrentdb", "etcd"),
    *("consul", "influxdb", "qdrant", "milvus", "weaviate", "minio", "kafka", "nats", "couchdb"),
    "cockroach",
)

REGISTRIES = setting(
    [facts.OFFICIAL_IMAGES], "Registries, or paths in one, that images may come from."
)
DATASTORES = setting(
    DATASTORE_IMAGES,
    "Images (last part of the name) of datastores. The label strata.kind (on Kubernetes"
    " app.kubernetes.io/component, of objects that Strata manages) overrides the image.",
)
SECRET_NAMES_ALLOWED = setting(
    [], "Variables that look like a secret but aren't one, such as MAX_TOKEN."
)
TOOLKIT_FLOOR = setting(facts.TOOLKIT_FLOOR, "The lowest version that passes.")
GPU_TAINT = setting("nvidia.com/gpu", "The key of the taint of GPU nodes.")
GPU_FAMILIES = setting(
    ("p2", "p3", "p4", "p5", "p6", "g3", "g4", "g5", "g6", "g7"), "Instance families with GPUs."
)
