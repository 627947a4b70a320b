"""What each service of a Compose file becomes."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import Any

from strata.errors import Problem
from strata.importer.compose_file import Service, texts
from strata.importer.parts import NUMERIC_USER, Parts, port_name
from strata.importer.python_source import Call, Name
from strata.importer.relations import CONNECTION_SUFFIX, Relations, base_name, label, variable

MEMORY_MIB = 512
GPU_MEMORY_MIB = 8192
"""Of a service that has no limit in the file."""
RESTARTS = {"always": "ALWAYS", "on-failure": "ON_FAILURE", "no": "NO"}

# What has no effect here, or is so anyway.
IGNORED = frozenset(
    {
        "networks",
        "cap_drop",
        "memswap_limit",
        "init",
        "tty",
        "stdin_open",
        "container_name",
        "hostname",
        "pull_policy",
        "read_only",
        "labels",
        "dns_search",
        "attach",
        "platform",
        "security_opt",
    }
)
UNSAFE = {
    "privileged": "it makes the container root on the host",
    "network_mode": "it takes the container out of its networks",
    "pid": "it shows the container the processes of others",
    "ipc": "it shares memory with others",
    "devices": "it gives the container devices of the host",
    "cgroup_parent": "it takes the container out of its limits",
    "userns_mode": "it makes the container root on the host",
}
"""Why a key has no counterpart."""


@dataclass(frozen=True)
class Translation:
    """`components` in the order in which they are created; `imports`: names by module. `changed` works
    differently here; `left_out` needs a person."""

    components: tuple[tuple[str, Call], ...]
    imports: Mapping[str, frozenset[str]]
    changed: tuple[Problem, ...]
    left_out: tuple[Problem, ...]
    needs_configuration: bool


@dataclass
class Translator:
    """Translates one file. `namespace`: of the configuration that it needs."""

    relations: Relations
    namespace: str

    def __post_init__(self) -> None:
        self.parts = Parts(self.relations, self.namespace)

    def translate(self) -> Translation:
        order = self._order()
        components = [(variable(name), self._component(name)) for name in order]
        self._report_others()
        if self.relations.observers:
            stack = Call("ObservabilityStackArgs", arguments={"stack": Name("stack")})
            self.parts.use("components", "ObservabilityStack", "ObservabilityStackArgs")
            components.insert(0, ("", Call("ObservabilityStack", ("observability", stack))))
        if self.relations.proxies:
            components += [("", call) for call in self._gateways(order)]
        return Translation(
            tuple(components),
            {module: frozenset(names) for module, names in self.parts.imports.items()},
            tuple(self.parts.changed),
            tuple(self.parts.left_out),
            self.parts.needs_configuration,
        )

    def _order(self) -> list[str]:
        while True:
            graph = {name: self.relations.needs(name) for name in self.relations.kept}
            try:
                return list(TopologicalSorter(graph).static_order())
            except CycleError as error:
                # Each is one that the next one needs. What only a variable says is cut first.
                edges = [(client, server) for server, client in pairwise(error.args[1])]
                client, server = min(edges, key=self.relations.is_dependency)
                self.relations.cut.add((client, server))
                self.parts.change(
                    client,
                    "links",
                    f"it doesn't wait for {server}, which waits for it",
                    "let it try again while the other starts",
                )

    def _component(self, name: str) -> Call:
        service = self.relations.kept[name]
        for key in service.unknown:
            if key in UNSAFE:
                self.parts.leave(name, key, UNSAFE[key], "do without")
            elif key not in IGNORED:
                self.parts.leave(
                    name, key, "has no counterpart", "check whether the service needs it"
                )
        if name in self.relations.engines:
            return self._datastore(name, service)
        gpu = self.parts.gpu(name, service)
        job = name in self.relations.jobs
        kind = "AppJob" if job else "GpuService" if gpu else "AppService"
        arguments: dict[str, Any] = {"stack": Name("stack"), "image": self._image(name, service)}
        if gpu:
            arguments["gpu"] = gpu
        arguments |= self._runtime(name, service, has_gpu=gpu is not None)
        arguments |= self._dependencies(name, service)
        if not job:
            arguments |= self._serving(name, service)
        elif service.volumes or service.ports:
            self.parts.leave(
                name, "volumes, ports", "a job has neither", "make it a service, or do without"
            )
        self.parts.use("components", kind, f"{kind}Args")
        return Call(kind, (label(name), Call(f"{kind}Args", arguments=arguments)))

    def _datastore(self, name: str, service: Service) -> Call:
        module, engine = self.relations.engines[name]
        arguments: dict[str, Any] = {"stack": Name("stack"), "engine": Name(engine)}
        if self.parts.memory(service):
            arguments["resources"] = self.parts.resources(name, service, MEMORY_MIB)
        if service.profiles:
            arguments["profiles"] = service.profiles
        self.parts.use("components", "Datastore", "DatastoreArgs")
        self.parts.use(f"components.engines.{module}", engine)
        self.parts.change(
            name,
            "image",
            f"becomes the engine {engine}, with its own users, password, tuning and health check",
            "read host, port, user and the file of the password from the variables of connections",
        )
        files = [each.target for each in service.volumes if each.type == "bind"]
        if files:
            self.parts.leave(
                name,
                "volumes",
                f"{', '.join(files)} isn't mounted into an engine",
                "run scripts that set up a schema as an AppJob",
            )
        if service.ports:
            self.parts.change(
                name, "ports", "a datastore isn't published", "connect through a service"
            )
        return Call("Datastore", (label(name), Call("DatastoreArgs", arguments=arguments)))

    def _image(self, name: str, service: Service) -> str | Call:
        if service.build is None:
            image = service.image or ""
            if not image:
                self.parts.leave(
                    name,
                    "image",
                    "there is none",
                    "name one by its digest, or a folder with a Dockerfile",
                )
            elif "@sha256:" not in image:
                self.parts.leave(
                    name,
                    "image",
                    f"{image} isn't pinned",
                    "add its digest, which `docker buildx imagetools inspect` prints",
                )
            return image
        for key in service.build.unknown:
            self.parts.leave(
                name,
                f"build.{key}",
                "has no counterpart",
                "the Dockerfile of the folder is built without it",
            )
        context = service.build.context.rstrip("/")
        if context == ".":
            context = "./"
        folder = context if context.startswith((".", "/")) else f"./{context}"
        options = self.parts.build_options(name, service.build)
        if not options:
            return folder
        self.parts.use("model", "Build")
        return Call("Build", (folder,), options)

    def _runtime(self, name: str, service: Service, *, has_gpu: bool) -> dict[str, Any]:
        """What services and jobs share."""
        arguments: dict[str, Any] = {}
        if service.user and NUMERIC_USER.fullmatch(service.user):
            uid, _, gid = service.user.partition(":")
            arguments["user"] = f"{uid}:{gid or uid}"
        else:
            self.parts.change(
                name,
                "user",
                f"{service.user or 'the user of the image'} becomes 10001:10001",
                "set user if the image needs its own; root isn't allowed",
            )
        if service.entrypoint:
            arguments["entry_point"] = tuple(self.parts.text(each) for each in service.entrypoint)
        elif service.entrypoint is not None:
            self.parts.leave(name, "entrypoint", "can't be empty here", "set entry_point")
        if service.command:
            arguments["command"] = tuple(self.parts.text(each) for each in service.command)
        default = GPU_MEMORY_MIB if has_gpu else MEMORY_MIB
        arguments["resources"] = self.parts.resources(name, service, default)
        if service.profiles:
            arguments["profiles"] = service.profiles
        if service.tmpfs:
            arguments["tmpfs"] = tuple(self.parts.tmpfs(each) for each in service.tmpfs)
        for capability in service.cap_add:
            self.parts.change(
                name,
                "cap_add",
                f"{capability} isn't added",
                "add Capability(name=..., reason=...) if it fails without",
            )
        if service.extra_hosts:
            arguments["extra_hosts"] = dict(service.extra_hosts)
        if rotation := self.parts.rotation(service):
            arguments["log_rotation"] = rotation
        return arguments

    def _serving(self, name: str, service: Service) -> dict[str, Any]:
        """What only a service has."""
        arguments: dict[str, Any] = {}
        ports = self.relations.ports[name]
        first = self.relations.first_port(name)
        arguments["port"] = first.target if first else None
        if first:
            arguments["honours_listen"] = False
            if first.published:
                arguments["published"] = first.published
        others = tuple(self.parts.port(each) for each in ports if each is not first)
        if others:
            arguments["ports"] = others
        if probe := self.parts.probe(name, service, first):
            arguments["probe"] = probe
        volumes = tuple(self.parts.volumes(name, service))
        if volumes:
            arguments["volumes"] = volumes
        replicas = service.deploy.replicas or service.scale
        if replicas and replicas > 1:
            arguments["replicas"] = replicas
        if restart := RESTARTS.get((service.restart or "").partition(":")[0]):
            self.parts.use("model", "Restart")
            arguments["restart"] = Name(f"Restart.{restart}")
        if service.stop_signal:
            arguments["stop_signal"] = service.stop_signal
        if service.stop_grace_period:
            arguments["stop_grace_seconds"] = service.stop_grace_period
        after = tuple(
            label(each) for each in self.relations.needs(name) if each in self.relations.jobs
        )
        if after:
            arguments["after"] = after
        return arguments

    def _dependencies(self, name: str, service: Service) -> dict[str, Any]:
        """Connections, calls, links, variables and files."""
        connections: dict[str, object] = {}
        calls: dict[str, object] = {}
        links: dict[str, object] = {}
        environment: dict[str, object] = {}
        files = [*self.parts.mounted_files(name, service), *self.parts.granted(name, service)]
        values = texts(service.environment)
        for server in self.relations.needs(name):
            if server in self.relations.engines:
                prefix = self._prefix(server, values, connections)
                connections[prefix] = Name(f"{variable(server)}.connection")
                gone = [
                    key
                    for key, value in values.items()
                    if key.startswith(f"{prefix}_") or server in self.relations.named(value)
                ]
                if gone:
                    self.parts.change(
                        name,
                        f"environment.{', '.join(gone)}",
                        f"connections sets {prefix}_HOST, {prefix}_PORT and others instead",
                        f"read these, and the password from the file {prefix}_PASSWORD_FILE",
                    )
                values = {key: value for key, value in values.items() if key not in gone}
            elif server not in self.relations.jobs and self.relations.ports[server]:
                links[server] = self._endpoint(server)
        for server in (server for client, server in sorted(self.relations.cut) if client == name):
            if server not in self.relations.engines and self.relations.first_port(server):
                links[server] = self._endpoint_ahead(server)
        for key, value in values.items():
            called = self.relations.called(value)
            if called and called in links:
                calls[key] = links.pop(called)
            elif called in self.relations.needs(name) and called:
                calls[key] = self._endpoint(called)
            elif self.parts.is_secret(key, value):
                path = f"/run/secrets/{label(key)}"
                files.append(
                    self.parts.file(path, self.parts.secret(name, f"environment.{key}", key))
                )
                environment[f"{key}_FILE"] = path
            else:
                environment[key] = self.parts.text(self.relations.renamed(value))
        if service.env_file:
            self.parts.leave(
                name,
                "env_file",
                "isn't read, because it may contain secrets",
                "add its variables to environment, and its secrets as files",
            )
        found = {
            "connections": connections,
            "calls": calls,
            "links": tuple(links.values()),
            "environment": environment,
            "files": tuple(files),
        }
        return {key: value for key, value in found.items() if value}

    def _prefix(self, server: str, values: Mapping[str, str], taken: Iterable[str]) -> str:
        for key, value in values.items():
            prefix = CONNECTION_SUFFIX.sub("", key)
            if server in self.relations.named(value) and prefix != key and prefix not in taken:
                return prefix
        return label(server).replace("-", "_").upper()

    def _endpoint(self, server: str) -> Name:
        ports = self.relations.ports[server]
        port = "" if self.relations.first_port(server) else f'"{port_name(ports[0])}"'
        return Name(f"{variable(server)}.endpoint({port})")

    def _endpoint_ahead(self, server: str) -> Call:
        """The endpoint of a service that is created later."""
        self.parts.use("model", "Endpoint")
        port = self.relations.first_port(server)
        arguments = {"service": label(server), "port": "http", "number": port.target if port else 0}
        return Call("Endpoint", arguments={**arguments, "waits": False})

    def _gateways(self, order: list[str]) -> Iterator[Call]:
        """One gateway in place of the proxies, with a route for each service behind them."""
        behind = [name for name in order if self.relations.is_behind_proxy(name)]
        for proxy in self.relations.proxies:
            self.parts.leave(
                proxy,
                "image",
                "becomes a Gateway; the configuration of the proxy isn't read",
                "correct the paths of its routes, and add those that are missing",
            )
        if not behind:
            return
        self.parts.use("components", "Gateway", "GatewayArgs", "Route")
        routes = []
        for name in behind:
            path = "/" if len(behind) == 1 else f"/{label(name)}/"
            routes.append(Call("Route", arguments={"path": path, "endpoint": self._endpoint(name)}))
        arguments = {
            "stack": Name("stack"),
            "http": Name("stack.settings.ports.http"),
            "https": Name("stack.settings.ports.https"),
            "routes": tuple(routes),
        }
        yield Call("Gateway", ("gateway", Call("GatewayArgs", arguments=arguments)))

    def _report_others(self) -> None:
        for name in self.relations.observers:
            image = base_name(self.relations.file.services[name].image)
            self.parts.change(
                name,
                "image",
                f"ObservabilityStack does what {image} does",
                "see docs/observability.md",
            )
        for key in self.relations.file.unknown:
            if key not in ("version", "name", "networks"):
                self.parts.leave(
                    "", key, "isn't read", "write it in one file with `docker compose config`"
                )
