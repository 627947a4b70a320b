"""The document of jimbot, line by line."""

from tests.documents.row import Docker, Document, Field, Kubernetes, Link, Row, Source

APP, MEMGRAPH, QUESTDB, EVENTSTORE, HEAD = "app", "memgraph", "questdb", "eventstore", "ray-head"
WORKERS = ("ray-worker-gpu-0", "ray-worker-gpu-1")
SYSTEM, TEST = "systems/jimbot.py", "tests/docker/test_jimbot.py"
MEMGRAPH_FILE = "components/engines/memgraph.py"
EVENTSTORE_FILE = "components/engines/kurrentdb.py"

DOCUMENT = Document(
    system="jimbot",
    introduction="""
An MCP server that judges hands of cards: it finds the best play of a hand, compares it with random hands in
a simulation on Ray, and remembers it. EventStore keeps the event, QuestDB the measurement, and Memgraph
counts how often each play was advised, for a query module. With the profile `development`, there is one
replica of `app`. Without it, there are two.

The images of Memgraph and EventStore (KurrentDB) can only be pulled. Where no registry is reachable, `up`
names them before it changes anything. To run without them:

```yaml
strata:services:
  memgraph: {enabled: false}
  eventstore: {enabled: false}
```

The server then does its job with QuestDB and Ray, and `/health` names the stores that are left out. So far,
it has been run in this form only. Memgraph and KurrentDB have been planned, checked by the policy packs and
admitted by a Kubernetes API; the code that uses them is tested against imitations of both. The code for
Memgraph, and its health check, have also worked with Neo4j 5.26, which has the same protocol.

The settings below put the data of Memgraph and QuestDB into folders of the host, as the document does. Create
the folders first (`sudo mkdir -p /data/jimbot/memgraph /data/jimbot/questdb`), or leave their lines out.
""",
    settings={
        "profiles": ["development"],
        "host": {"reservedMemoryMib": 6144},
        "network": {
            "zones": {
                "frontend": "172.20.0.0/24",
                "backend": "172.21.0.0/24",
                "data": "172.22.0.0/24",
            }
        },
        "services": {
            name: {"volumes": {"data": {"folder": f"/data/jimbot/{name}"}}}
            for name in (MEMGRAPH, QUESTDB)
        },
    },
    purposes={
        "gateway": "NGINX: routes, TLS, limits",
        APP: "the MCP server: tools on the stores and on Ray",
        MEMGRAPH: "Memgraph: how often each play was advised; a query module ranks the plays",
        QUESTDB: "QuestDB: a row for each play",
        EVENTSTORE: "KurrentDB, the successor of EventStoreDB: a stream of events for each player",
        HEAD: "Ray: schedules jobs, and runs their drivers and tasks",
        **dict.fromkeys(WORKERS, "Ray: runs tasks, with one GPU"),
    },
    usage="""
## Use

At the gateway, `http://127.0.0.1:8080` and `https://127.0.0.1:8443` unless `strata:ports` changes them:

| request | response |
|---|---|
| POST /mcp | the Model Context Protocol over streamable HTTP, without sessions |
| GET /health | 200 if every store of the stack and Ray answer, otherwise 503; names those that are left out |

`best_play` takes a `player` (a-z, 0-9 and _), 1 to 8 `cards` (rank and suit: `AS`, `TD`, `7H`) and the number
of `samples` (100 to 10000, default 1000). It returns the `cards` to play, with the `name` and `score` of the
play, the share of random hands that it `beats`, its `id`, and the stores that it is `stored_in`.

`history` takes a `player` and a `count` (1 to 100, default 10). It returns the player's `measurements` and
`events`, newest first, the `ranking` of all players' plays, and the stores that are `left_out`.

A play scores as in the game Balatro at its first level, without jokers. In Python:

```py
from mcp import Client

async with Client("http://127.0.0.1:8080/mcp") as client:
    print(await client.call_tool("best_play", {"player": "ada", "cards": ["AS", "AD", "3C"]}))
```

The server answers requests whose header Host is `127.0.0.1` or `localhost`, or `strata:domain` if it is set,
so that web pages can't reach it by DNS rebinding. Set others by `MCP_ALLOWED_HOSTS` in
`strata:services.app.environment`. It has no users: whoever reaches the gateway can use its tools.

## Durability

A play is answered once every store of the stack has it on disk. If one is down, the tool fails and says so;
stores before it (EventStore, QuestDB, Memgraph, in this order) have the play already. Ray keeps nothing.
""",
    rows=(
        Row(3, 3, note="About the document itself."),
        Row(6, 15, note="About the document itself."),
        Row(
            20,
            20,
            (Field(APP, "ports[http].number", 8000),),
            "Ray's containers run the several processes of a Ray node under one init.",
        ),
        Row(
            21,
            21,
            (Docker("app-1", "readOnly", True), Docker("memgraph-1", "readOnly", True)),
        ),
        Row(
            22,
            22,
            (Field(APP, "environment.QUESTDB_HOST", QUESTDB),),
            "Secrets are files instead.",
        ),
        Row(
            23,
            23,
            (Source("strata/images/catalogue.py", 'name="base"'),),
            "Debian slim, because Python wheels are built for glibc.",
        ),
        Row(24, 24, (Source("strata/images/recipes/jimbot/Dockerfile", "AS packages"),)),
        Row(
            28,
            46,
            (
                Source("strata/images/recipes/jimbot/Dockerfile", "FROM ${PARENT}"),
                Source(SYSTEM, "def compose"),
            ),
            "One recipe for the application and the nodes of Ray, and one Python file instead of three"
            " Compose files. Links take the place of wait-for-it.sh. `Pulumi.STACK.yaml` takes the place"
            " of .env; secrets in it are encrypted.",
        ),
        Row(
            53,
            80,
            (
                Source("strata/images/recipes/jimbot/Dockerfile", "--require-hashes"),
                Source("apps/jimbot/requirements.lock", "mcp=="),
            ),
            "Python 3.13. The packages are wheels, pinned by hash, so no compiler is needed.",
        ),
        Row(
            82,
            84,
            (Docker("app-1", "user", "10001:10001"),),
            "A user above the ids of the host's accounts instead of 1000.",
        ),
        Row(86, 92, (Source("strata/images/recipes/jimbot/Dockerfile", "COPY apps"),)),
        Row(
            94,
            95,
            (Source("strata/images/recipes/jimbot/Dockerfile", '"apps.jimbot"'),),
        ),
        Row(
            100,
            106,
            (Source("strata/images/recipes/ray/Dockerfile", "FROM ${PARENT}"),),
            "Without CUDA's libraries: a task brings them with its framework (line 112). Ray itself needs"
            " none to offer a GPU.",
        ),
        Row(
            108,
            112,
            (Source("strata/images/recipes/ray/requirements.lock", "ray==2.60"),),
            "Ray 2.60 instead of 2.9. PyTorch isn't installed: the simulation uses the standard library.",
        ),
        Row(
            114,
            116,
            (Source("components/ray_cluster.py", "--num-cpus"),),
            "The CPU limit, which Ray offers to tasks, instead of the host's cores.",
        ),
        Row(118, 119, (Source("components/ray_cluster.py", "--dashboard-host=0.0.0.0"),)),
        Row(
            124,
            128,
            (
                Field(MEMGRAPH, "image", "memgraph"),
                Field(MEMGRAPH, "files[/mage_modules/plays.py].path", "/mage_modules/plays.py"),
                Source("strata/pins.py", "MEMGRAPH = ("),
            ),
            "The image is upstream's, by digest, and not built upon: `latest` is another one each day."
            " It is Memgraph without the library MAGE. The module is mounted.",
        ),
        Row(
            130,
            131,
            (
                Field(
                    MEMGRAPH,
                    "files[/etc/memgraph/memgraph.conf].path",
                    "/etc/memgraph/memgraph.conf",
                ),
            ),
        ),
        Row(
            133,
            136,
            (
                Field(MEMGRAPH, "volumes[data].path", "/var/lib/memgraph"),
                Field(MEMGRAPH, "tmpfs[/var/log/memgraph].size_mib", 16),
            ),
            "Log messages go to standard error.",
        ),
        Row(
            137,
            139,
            (Field(MEMGRAPH, "ports[bolt].number", 7687),),
            "Memgraph Lab (3000) is another image and isn't part of the system; use `mgconsole` in the"
            " container.",
        ),
        Row(146, 147, (Source(SYSTEM, "def compose"),), "See line 28."),
        Row(
            149,
            151,
            note="The stack is the environment. Each program has its own setting for the level of its log.",
        ),
        Row(
            153,
            160,
            (
                Field(MEMGRAPH, "image", "memgraph"),
                Docker("memgraph-1", "restart", "always"),
            ),
            "The container is named after its stack and replica. After a crash, Docker doesn't start containers with"
            " `unless-stopped` again, so all have `always`.",
        ),
        Row(
            161,
            163,
            (
                Field(MEMGRAPH, "ports[bolt].published", None),
                Link(APP, MEMGRAPH, 7687),
            ),
            "No datastore publishes a port: the applications that need it are linked. In development,"
            " `strata:services.NAME.ports` publishes one on 127.0.0.1: see"
            " [development](../development.md#reach-a-port-from-this-machine).",
        ),
        Row(
            164,
            166,
            (
                Field(MEMGRAPH, "volumes[data].path", "/var/lib/memgraph"),
                Field(MEMGRAPH, "files[/mage_modules/plays.py].path", "/mage_modules/plays.py"),
                Source("apps/jimbot/mage_modules/plays.py", "@mgp.read_proc"),
            ),
            "Files are read-only. The module comes from the checkout that composes the stack.",
        ),
        Row(
            167,
            170,
            (Source(MEMGRAPH_FILE, "--memory-limit="),),
            "Memgraph reads no variable MEMGRAPH_MEMORY_LIMIT. The flag is set, to 85% of the container's"
            " limit. The level of the log is WARNING.",
        ),
        Row(
            171,
            176,
            (
                Field(MEMGRAPH, "resources.memory_mib", 10240),
                Docker("memgraph-1", "memory", 10240),
            ),
            "The limit is what the document reserves; see line 456.",
        ),
        Row(
            177,
            182,
            (
                Field(MEMGRAPH, "probe.check.command.1", "/etc/memgraph/probe.py"),
                Source("tests/apps/test_jimbot_stores.py", "def test_the_health_check_fails"),
            ),
            "The document's check can't fail: it runs `echo`, with the rest as its arguments. This one logs"
            " in over TLS and runs a query, every 10 seconds, so that clients start sooner.",
        ),
        Row(
            183,
            185,
            (
                Field(MEMGRAPH, "zone", "data"),
                Docker("memgraph-1", "networksAdvanced.0.name", "strata-test-memgraph-7687"),
            ),
            "A zone is a label. Each server has a network of its own with its clients, so that a container"
            " on `data_network` can't reach every port of the others.",
        ),
        Row(
            187,
            191,
            (Field(QUESTDB, "image", "questdb"),),
            "QuestDB 9.3 instead of 7.3.",
        ),
        Row(
            192,
            195,
            (
                Field(QUESTDB, "ports[http].number", 9000),
                Field(QUESTDB, "ports[pg].number", 8812),
                Link(APP, QUESTDB, 9000),
            ),
            "Lines are written over HTTP: over TCP (9009) they have no password. No port is published; see"
            " line 161.",
        ),
        Row(196, 197, (Field(QUESTDB, "volumes[data].path", "/var/lib/questdb"),)),
        Row(
            198,
            202,
            (Source("components/engines/questdb.py", "cairo.commit.mode=sync"),),
            "QuestDB's defaults for threads and uncommitted rows; `strata:services.questdb.environment`"
            " sets others. Each commit is flushed to disk.",
        ),
        Row(
            203,
            208,
            (Field(QUESTDB, "resources.memory_mib", 3072),),
            "The limit is what the document reserves; see line 456.",
        ),
        Row(
            209,
            213,
            (Field(QUESTDB, "probe.check.path", "/status"),),
            "On the port for health and metrics, which needs no password. The image has no curl.",
        ),
        Row(
            214,
            216,
            (Field(QUESTDB, "zone", "data"), Link("prometheus", QUESTDB, 9003, waits=False)),
            "See line 183.",
        ),
        Row(
            218,
            222,
            (
                Field(EVENTSTORE, "image", "kurrentdb"),
                Source("strata/pins.py", "KURRENTDB = ("),
                Docker("eventstore-1", "restart", "always"),
            ),
            "KurrentDB 26.1, as EventStoreDB is called since version 25, by digest.",
        ),
        Row(
            223,
            225,
            (Field(EVENTSTORE, "ports[http].number", 2113), Link(APP, EVENTSTORE, 2113)),
            "The TCP protocol of clients (1113) was removed in version 24.10.",
        ),
        Row(
            226,
            228,
            (
                Field(EVENTSTORE, "volumes[data].path", "/var/lib/kurrentdb"),
                Field(EVENTSTORE, "tmpfs[/var/log/kurrentdb].size_mib", 64),
            ),
            "Log messages go to standard output, as JSON.",
        ),
        Row(
            229,
            233,
            (
                Source(EVENTSTORE_FILE, "ClusterSize: 1"),
                Source(EVENTSTORE_FILE, "RunProjections: All"),
                Source(EVENTSTORE_FILE, "StartStandardProjections: true"),
            ),
        ),
        Row(234, 235, (Source(EVENTSTORE_FILE, "NodePort: "),), "See line 223."),
        Row(
            236,
            236,
            (Source(EVENTSTORE_FILE, "Insecure: true"),),
            "It has neither TLS nor authentication. KurrentDB loads RSA keys only, and the stack's authority"
            " derives keys of P-256. It takes the passwords of its users from environment variables only, and"
            " only for a new database, so that they couldn't be rotated like the others. Links restrict access"
            " to `app` and Prometheus.",
        ),
        Row(237, 237, (Source(EVENTSTORE_FILE, "EnableAtomPubOverHttp: true"),)),
        Row(
            238,
            243,
            (Field(EVENTSTORE, "resources.memory_mib", 1024),),
            "The limit is what the document reserves; see line 456.",
        ),
        Row(
            244,
            248,
            (Field(EVENTSTORE, "probe.check.path", "/health/live?liveCode=200"),),
        ),
        Row(249, 251, (Field(EVENTSTORE, "zone", "data"),), "See line 183."),
        Row(
            253,
            259,
            (
                Field(HEAD, "image", "jimbot"),
                Docker("ray-head-1", "restart", "always"),
            ),
            "The image starts from Ray's and has the code of the jobs.",
        ),
        Row(260, 260, (Docker("ray-head-1", "shmSize", 2048),)),
        Row(
            261,
            264,
            (
                Field(HEAD, "ports[dashboard].published", None),
                Link(APP, HEAD, 8265),
                Link(WORKERS[0], HEAD, 6379),
            ),
            "`app` submits jobs over HTTP, with a token. Without one, whoever reaches Ray runs code on it."
            " The port of Ray's client (10001) is only for nodes.",
        ),
        Row(
            265,
            267,
            (Field(HEAD, "tmpfs[/tmp/ray].size_mib", 2048),),
            "As line 408 says: in memory. The code is in the image.",
        ),
        Row(
            268,
            273,
            (
                Field(HEAD, "resources.shared_memory_mib", 2048),
                Field(HEAD, "gpu.mode", "off"),
            ),
            "The object store takes all of the shared memory. The document gives device 0 to the head and to"
            " a worker; here the workers have the GPUs.",
        ),
        Row(
            274,
            280,
            (
                Field(HEAD, "resources.memory_mib", 6144),
                Field(HEAD, "resources.cpu", 4),
            ),
            "The limit is what the document reserves; see line 456.",
        ),
        Row(
            281,
            284,
            (Field(WORKERS[0], "gpu.count", 1), Field(WORKERS[1], "gpu.count", 1)),
            "See line 268.",
        ),
        Row(
            285,
            290,
            (Source("components/ray_cluster.py", "api/gcs_healthz"),),
            "Over HTTP: `ray status` starts a Python process, and reports the cluster instead of this node.",
        ),
        Row(
            291,
            293,
            (Field(HEAD, "zone", "compute"), Field(WORKERS[0], "zone", "compute")),
            "See line 183.",
        ),
        Row(295, 303, (Field(APP, "image", "jimbot"),), "Python 3.13 instead of 3.9."),
        Row(
            304,
            305,
            (Link("gateway", APP, 8000), Docker("gateway-1", "ports.0.ip", "127.0.0.1")),
            "The gateway publishes it, at /mcp, on loopback.",
        ),
        Row(
            306,
            309,
            (Source("apps/common/logs.py", "JsonLines"),),
            "The code is in the image, and there is no other configuration. Log messages go to standard"
            " output.",
        ),
        Row(
            310,
            319,
            (
                Field(APP, "environment.MEMGRAPH_HOST", MEMGRAPH),
                Field(APP, "environment.MEMGRAPH_PORT", "7687"),
                Field(APP, "environment.QUESTDB_PORT", "9000"),
                Field(APP, "environment.EVENTSTORE_PORT", "2113"),
                Field(APP, "environment.RAY_HOST", HEAD),
            ),
            "QuestDB by HTTP instead of PostgreSQL's protocol, and Ray by its jobs.",
        ),
        Row(
            320,
            322,
            note="The server calls no model and sends nothing out: the MCP client has the model. So it takes no"
            " key, and has no access to the internet.",
        ),
        Row(
            323,
            331,
            (
                Link(APP, MEMGRAPH, 7687),
                Link(APP, QUESTDB, 9000),
                Link(APP, EVENTSTORE, 2113),
                Link(APP, HEAD, 8265),
            ),
            "It starts after all four are healthy.",
        ),
        Row(
            332,
            336,
            (
                Field(APP, "probe.check.path", "/health"),
                Field(APP, "probe.retries", 3),
                Source(TEST, "def test_the_tools_fail_without_ray"),
            ),
            "Every 10 seconds instead of 30. The image has no curl.",
        ),
        Row(337, 339, (Field(APP, "zone", "backend"), Field("gateway", "zone", "frontend"))),
        Row(
            341,
            353,
            (
                Field(MEMGRAPH, "volumes[data].name", "data"),
                Field(QUESTDB, "volumes[data].name", "data"),
                Field(EVENTSTORE, "volumes[data].name", "data"),
            ),
            "Volumes for data only; see lines 226, 265 and 306.",
        ),
        Row(
            355,
            368,
            (
                Docker("app-1", "networksAdvanced.0.name", "strata-test-app-8000"),
                Kubernetes("NetworkPolicy default-deny", "spec.policyTypes", ["Ingress", "Egress"]),
                Source(TEST, "def test_every_pair_of_services"),
            ),
            "All networks are internal, except for the gateway's. See line 183.",
        ),
        Row(
            375,
            389,
            (
                Docker("memgraph-data", "driverOpts.device", "/data/jimbot/memgraph"),
                Docker("questdb-data", "driverOpts.device", "/data/jimbot/questdb"),
                Source("tests/docker/test_host_folder.py", "def test_data_in_a_folder_of_the_host"),
            ),
            "By `strata:services.NAME.volumes.data.folder`. Without it, the data is in Docker's data folder."
            " A folder that two volumes would share is rejected.",
        ),
        Row(
            394,
            400,
            (
                Source(
                    "tests/docker/test_development.py",
                    "def test_a_change_shows_in_the_same_container",
                ),
            ),
            "`strata:services.app.develop: true`: see [development](../development.md). The mounts are"
            " read-only. Tests and scripts run on the host (`make test`), and aren't in the image.",
        ),
        Row(405, 408, (Field(HEAD, "tmpfs[/tmp/ray].size_mib", 2048),)),
        Row(
            415,
            437,
            (
                Docker("gateway-outward", "ipamConfigs.0.subnet", "172.20.0.80/28"),
                Docker("app-8000", "ipamConfigs.0.subnet", "172.21.0.16/28"),
                Docker("app-8000", "internal", True),
                Docker("memgraph-7687", "ipamConfigs.0.subnet", "172.22.0.192/28"),
                Docker("memgraph-7687", "internal", True),
            ),
            "`strata:network.zones` gives each zone the document's range. The networks of its links take /28"
            " from it, up to 16; see line 183.",
        ),
        Row(
            441,
            447,
            (
                Docker(
                    "memgraph-1", "networksAdvanced.0.aliases", ["memgraph", "memgraph-1.memgraph"]
                ),
            ),
            "A service resolves the names of those that it links to, and no others.",
        ),
        Row(
            448,
            449,
            (Docker("app-1", "hosts", [{"host": "host.docker.internal", "ip": "host-gateway"}]),),
            "With the profile `development`, on Docker. Kubernetes has no such host.",
        ),
        Row(
            455,
            458,
            (
                Source("tests/components/test_systems.py", '"jimbot": 32'),
                Source("docs/systems/jimbot.md", "reservedMemoryMib: 6144"),
            ),
            "The stack is rejected before anything is created if all limits exceed the host's memory less 6"
            " GiB. The document's limits take 26 GB without the workers, `app`, the gateway and whatever"
            " observes them. Its reservations leave room for these, so they are the limits here: memory"
            " beyond what is reserved can't be relied on. The sum is 26 GiB with two replicas of `app`.",
        ),
        Row(
            460,
            492,
            (
                Field(MEMGRAPH, "resources.memory_mib", 10240),
                Field(HEAD, "resources.memory_mib", 6144),
                Field(QUESTDB, "resources.memory_mib", 3072),
                Field(EVENTSTORE, "resources.memory_mib", 1024),
                Field(WORKERS[0], "resources.memory_mib", 2048),
            ),
            "`strata:services.NAME.memoryMib` overrides each.",
        ),
        Row(
            496,
            506,
            (Field(WORKERS[0], "gpu.count", 1), Field(WORKERS[0], "gpu.sharing", "exclusive")),
            "Each worker gets a device that no other service has. See line 268.",
        ),
        Row(
            512,
            520,
            (Source(MEMGRAPH_FILE, "--also-log-to-stderr=true"),),
            "`docker logs` shows the messages, so port 7444, which sends them over WebSockets, listens on"
            " loopback only. The level is always WARNING. `strata:services.memgraph.ports.bolt: 7687`"
            " publishes the database on 127.0.0.1 in development.",
        ),
        Row(
            522,
            530,
            (
                Source("strata/images/recipes/debugger/Dockerfile", "--target /opt/debugger"),
                Source(
                    "tests/docker/test_development.py", "def test_a_debugger_stops_at_a_breakpoint"
                ),
            ),
            "`strata:services.app.debugPort: 5678`, with `develop: true` for the reload: see"
            " [development](../development.md). The image with debugpy is built from that of the"
            " application. The port is published on 127.0.0.1 instead of 0.0.0.0, and the mount is"
            " read-only.",
        ),
        Row(
            534,
            543,
            (
                Field(MEMGRAPH, "files[/run/secrets/certificate.pem].content.public", True),
                Source(MEMGRAPH_FILE, "--bolt-cert-file="),
                Source("apps/jimbot/graph.py", "TrustCustomCAs"),
            ),
            "Memgraph reads no variables MEMGRAPH_SSL_*: the flags are set. In development too, it accepts only"
            " TLS, with a certificate of the stack's authority. A container that stops is restarted, unless"
            " someone stopped it.",
        ),
        Row(
            545,
            555,
            (
                Kubernetes("Deployment app", "spec.replicas", 2),
                Kubernetes("Deployment app", "spec.strategy.rollingUpdate.maxSurge", 1),
                Kubernetes("Deployment app", "spec.strategy.rollingUpdate.maxUnavailable", 0),
                Kubernetes("Deployment app", "spec.minReadySeconds", 10),
                Source(
                    "tests/docker/test_rollout.py",
                    "def test_an_update_of_all_replicas_fails_no_request",
                ),
            ),
            "On both platforms, replicas are replaced one at a time, and a new one is healthy before an old"
            " one stops. They are 10 seconds apart. The sessions of MCP are disabled, so that any replica can"
            " answer any request.",
        ),
        Row(561, 569, (Field(MEMGRAPH, "probe.retries", 3),), "See line 177."),
        Row(571, 576, (Field(QUESTDB, "probe.retries", 3),), "See line 209."),
        Row(
            578,
            584,
            (Field(HEAD, "probe.start_period_seconds", 60),),
            "Three failures instead of five; see line 285.",
        ),
        Row(
            588,
            600,
            (Field(APP, "probe.check.path", "/health"),),
            "The platform generates the check.",
        ),
        Row(
            606,
            614,
            (Field(APP, "environment.QUESTDB_PASSWORD_FILE", "/run/secrets/questdb-password"),),
        ),
        Row(
            616,
            620,
            (Source("strata/model/secrets.py", "HKDF"),),
            "Passwords are derived from the stack's seed instead of kept in files; `strata:secretGenerations`"
            " rotates them. There is no api_keys; see line 320.",
        ),
        Row(
            624,
            630,
            (
                Docker("app-1", "user", "10001:10001"),
                Docker("app-1", "capabilities.drops", ["ALL"]),
            ),
        ),
        Row(
            632,
            639,
            (
                Docker("app-1", "readOnly", True),
                Docker("ray-head-1", "readOnly", True),
                Docker(
                    "app-1",
                    "tmpfs[/tmp]",
                    "rw,nosuid,nodev,noexec,size=64m,mode=0700,uid=10001,gid=10001",
                ),
            ),
            "It writes nothing to /var/run.",
        ),
        Row(643, 647, (Docker("memgraph-7687", "internal", True),)),
        Row(
            649,
            653,
            (Link("gateway", APP, 8000),),
            "No two clients share a network on which both listen, so the containers of the frontend can't"
            " reach each other either.",
        ),
        Row(
            660,
            679,
            (Source("docs/components/gpu-service.md", "NVIDIA"),),
            "Docker's device requests instead of the default runtime: only services with a GPU see one, and"
            " each only its own. `all` would give every GPU to every container.",
        ),
        Row(
            682,
            706,
            (
                Field(WORKERS[0], "gpu.count", 1),
                Field(WORKERS[1], "gpu.count", 1),
                Kubernetes(
                    f"Deployment {WORKERS[0]}",
                    "spec.template.spec.containers.0.resources.limits[nvidia.com/gpu]",
                    "1",
                ),
                Link(WORKERS[0], HEAD, 6379),
            ),
            "2 GiB each; see line 456. Not tested on GPUs: we had none.",
        ),
        Row(
            712, 720, (Source("Makefile", "up: ##"),), "`make up`, `strata logs` and `make images`."
        ),
        Row(
            724,
            732,
            (
                Source("Makefile", "backup: ##"),
                Kubernetes(
                    "PersistentVolumeClaim data-memgraph-0",
                    "metadata.labels[strata.backup]",
                    "aws-backup",
                ),
            ),
            "`pulumi up --stack prod`. `make backup` stops the datastores and archives their volumes; on EKS,"
            " AWS Backup takes a snapshot each day.",
        ),
        Row(
            736,
            744,
            (
                Link("prometheus", APP, 8000, waits=False),
                Link("prometheus", EVENTSTORE, 2113, waits=False),
                Source(TEST, "def test_its_engines_are_observed"),
            ),
            "`strata status`, and the dashboards and logs of the observability stack.",
        ),
        Row(
            749,
            758,
            (Source(TEST, "def test_a_play_outlives_the_process_of_its_store"),),
            "As above.",
        ),
    ),
)
