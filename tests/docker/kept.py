"""The datastores whose continuous backups are restic's, as their clients and Prometheus see them."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from pika.exceptions import AMQPError  # type: ignore[import-untyped]

from strata.components.engines import restic_backup
from tests.docker import messages, stores
from tests.docker.conftest import containers
from tests.docker.operations import backups_of
from tests.project import Project

STACK = "pytest-restic"
SYSTEM = "backed_up_engines"
# From within, because nothing observes this stack.
METRICS = """
exec 3<> "/dev/tcp/${BACKUP_LISTEN/:/\\/}"
printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3
cat <&3
"""


@dataclass(frozen=True)
class Case:
    """How a datastore is written and read: scripts in its container. `{}` stands for what is written;
    `read` prints all that was, one in a line. `ingest` is what a client writes all the time."""

    write: str = ""
    read: str = ""
    ingest: str = ""


# One table of QuestDB has a WAL, the other doesn't. Both have two partitions.
WRITE = """
set -e
text={}
for kind in WAL "BYPASS WAL"; do
    columns="(kept symbol INDEX, at timestamp) TIMESTAMP(at)"
    sql 9000 exec "CREATE TABLE IF NOT EXISTS \\"$kind\\" $columns PARTITION BY DAY $kind"
    sql 9000 exec "INSERT INTO \\"$kind\\" VALUES ('$text', '2026-01-01'), ('$text', now())"
done
"""
# What isn't in all partitions of both tables has its count with it.
READ = """
sql 9000 exp "
    SELECT CASE WHEN count() = 4 THEN kept ELSE concat(kept, count()) END
    FROM (SELECT kept FROM WAL UNION ALL SELECT kept FROM \\"BYPASS WAL\\") GROUP BY kept
" | tr -d '"'
"""
LINE = """
line='measured,by=client value=1'
exec 9<> /dev/tcp/127.0.0.1/9000
printf 'POST /write HTTP/1.1\\r\\nHost: localhost\\r\\nAuthorization: Basic %s\\r\\nContent-Length: %s\\r\\n\\r\\n%s' \\
    "$(printf 'strata:%s' "$(sed -n 's/^http.password=//p' /run/secrets/server.conf)" | base64 --wrap=0)" \\
    "${#line}" "$line" >&9
read -r _ status _ <&9
[ "$status" = 204 ]
"""

# In an index with an alias, in a hidden one and in a data stream. Another index is closed.
DOCUMENTS = """
set -e
request 9200 PUT /_index_template/named '{{"index_patterns": "named", "template": {{"aliases": {{"alias": {{}}}}}}}}'
request 9200 PUT /_index_template/quiet '{{"index_patterns": "quiet", "template": {{"settings": {{"hidden": true}}}}}}'
request 9200 PUT /_index_template/stream '{{"index_patterns": "stream", "data_stream": {{}}}}'
for index in named quiet stream; do
    request 9200 POST "/$index/_doc?refresh=true" '{{"kept": "{}", "@timestamp": "2026-01-01"}}'
done
request 9200 PUT /closed > /dev/null 2>&1 || true
request 9200 POST /closed/_close
"""
# What isn't in all three has its count with it.
SEARCH = """
set -eo pipefail
[ "$(request 9200 GET '/_cat/indices/closed?h=status&expand_wildcards=all')" = close ]
request 9200 GET '/alias,quiet,stream/_search?size=1000&filter_path=hits.hits._source.kept' \\
    | grep --only-matching '"kept":"[^"]*' | sort | uniq --count \\
    | sed --regexp-extended 's/^ *(3|([0-9]+)) "kept":"/\\2/'
"""

CASES = {
    "redis": Case(
        write=stores.redis("SADD kept {}"),
        read=stores.redis("SMEMBERS kept"),
    ),
    "questdb": Case(
        write=f"source {restic_backup.ENGINE_FILE}\n{WRITE}",
        read=f"source {restic_backup.ENGINE_FILE}\n{READ}",
        ingest=LINE,
    ),
    "opensearch": Case(
        write=f"source {restic_backup.ENGINE_FILE}\n{DOCUMENTS}",
        read=f"source {restic_backup.ENGINE_FILE}\n{SEARCH}",
        ingest=f"source {restic_backup.ENGINE_FILE}\nrequest 9200 POST /ingested/_doc '{{}}'",
    ),
    # See `KeptMessages`.
    "rabbitmq": Case(),
}
ENGINES = tuple(CASES)


class Kept:
    """A datastore of the stack, as its container is now."""

    def __init__(self, engine: Any, project: Project, name: str) -> None:
        self.name = name
        self.case = CASES[name]
        self.backups = backups_of(engine, project, name)
        self.container = engine.containers.get(f"strata-{STACK}-{name}-1")

    def run(self, script: str, **environment: str) -> tuple[int, str]:
        status, output = self.container.exec_run(["bash", "-c", script], environment=environment)
        return int(status), output.decode(errors="replace").strip()

    def inside(self, script: str) -> str:
        status, output = self.run(script)
        assert status == 0, output
        return output

    def write(self, text: str) -> None:
        self.inside(self.case.write.format(text))

    @property
    def kept(self) -> list[str]:
        return sorted(self.inside(self.case.read).split())

    @property
    def serves(self) -> bool:
        return self.run(self.case.read)[0] == 0

    @property
    def metrics(self) -> dict[str, float]:
        """When each task last succeeded, as Prometheus reads it."""
        lines = self.inside(METRICS).splitlines()
        prefix = f'{restic_backup.METRIC}{{kind="'
        found = (
            line.removeprefix(prefix).split('"} ') for line in lines if line.startswith(prefix)
        )
        return {kind: float(seconds) for kind, seconds in found}


class KeptMessages(Kept):
    """A RabbitMQ, by its clients. `serves` publishes a series, of which a backup has all up to a moment."""

    series = 20

    def __init__(self, engine: Any, project: Project, name: str) -> None:
        super().__init__(engine, project, name)
        self.engine = engine

    def write(self, text: str) -> None:
        assert self.serves
        messages.publish(containers(self.engine, STACK), "kept", [text])

    @property
    def kept(self) -> list[str]:
        found = containers(self.engine, STACK)
        for bodies in messages.read(found, "series").values():
            all_of = defaultdict(list)
            for series, number in (body.split() for body in bodies):
                all_of[series].append(int(number))
            assert all(sorted(each) == list(range(len(each))) for each in all_of.values())
            # At most one was interrupted.
            assert [len(each) for each in all_of.values()].count(self.series) >= len(all_of) - 1
        quorum, classic = (sorted(each) for each in messages.read(found, "kept").values())
        assert quorum == classic
        return quorum

    @property
    def serves(self) -> bool:
        series = uuid4()
        bodies = [f"{series} {number}" for number in range(self.series)]
        try:
            messages.publish(containers(self.engine, STACK), "series", bodies)
        except (AMQPError, OSError, KeyError):
            return False
        return True


def datastore(engine: Any, project: Project, name: str) -> Kept:
    return (KeptMessages if name == "rabbitmq" else Kept)(engine, project, name)
