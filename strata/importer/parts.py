"""The parts of a component that follow from one value of a Compose file, and what is to be said."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from strata.errors import Problem
from strata.importer.compose_file import Build as ComposeBuild
from strata.importer.compose_file import Device, Mount, Port, Service, texts
from strata.importer.python_source import Call, Name, expression
from strata.importer.relations import HTTP_CHECK, Relations, camel, label
from strata.model.build import URL_PASSWORD, Build

CREDENTIAL = re.compile(
    r"PASSWORD|PASSWD|_PASS$|SECRET|TOKEN|API_?KEY|(?<!PUBLIC)_KEY$|CREDENTIAL|_AUTH$|SALT$",
    re.IGNORECASE,
)
NUMERIC_USER = re.compile(r"[1-9]\d*(:[1-9]\d*)?")


def port_name(port: Port) -> str:
    return f"port-{port.target}" + ("-udp" if port.protocol == "udp" else "")


@dataclass
class Parts:
    """Collects the imports that the code needs, what works differently (`changed`), and what needs a
    person (`left_out`). `namespace`: of the configuration."""

    relations: Relations
    namespace: str
    changed: list[Problem] = field(default_factory=list)
    left_out: list[Problem] = field(default_factory=list)
    imports: dict[str, set[str]] = field(default_factory=dict)
    needs_configuration: bool = False

    def text(self, value: str) -> object:
        """A text; what comes from a variable of the shell is configuration."""
        pieces = re.split(r"\$\{(\w+)\}", value)
        parts: list[object] = []
        for index, piece in enumerate(pieces):
            if index % 2:
                self.needs_configuration = True
                self.change(
                    "",
                    f"${{{piece}}}",
                    "has no default in the file",
                    f"pulumi config set {self.namespace}:{camel(piece)} VALUE",
                )
                parts.append(Name(f'configuration.require("{camel(piece)}")'))
            elif piece:
                parts.append(piece)
        return parts[0] if len(parts) == 1 else tuple(parts) or ""

    def is_secret(self, key: str, value: str) -> bool:
        # These only name where a secret is.
        if key.endswith(("_FILE", "_PATH")) or value.lower() in ("true", "false", ""):
            return False
        return bool(CREDENTIAL.search(key)) or bool(URL_PASSWORD.search(value))

    def secret(self, service: str, path: str, name: str) -> Name:
        self.needs_configuration = True
        self.change(
            service,
            path,
            "is secret, so it becomes a file",
            f"pulumi config set --secret {self.namespace}:{camel(name)} VALUE"
            + (f", and read the file that {name}_FILE names" if "environment" in path else ""),
        )
        return Name(f'configuration.require_secret("{camel(name)}")')

    def granted(self, name: str, service: Service) -> Iterator[Call]:
        for grant in service.secrets:
            if store := self.relations.password_of(name, grant.source):
                self.change(
                    name,
                    f"secrets.{grant.source}",
                    f"is the password of {store}, which connections passes",
                    "read the file that its variable of connections names",
                )
                continue
            target = grant.target or grant.source
            path = target if target.startswith("/") else f"/run/secrets/{target}"
            yield self.file(path, self.secret(name, f"secrets.{grant.source}", grant.source))
        for grant in service.configs:
            config = self.relations.file.configs.get(grant.source)
            if config and config.content is not None:
                content: object = config.content
            elif config and config.file:
                content = self._content(config.file)
            else:
                self.leave(name, f"configs.{grant.source}", "has no content here", "add a File")
                continue
            yield self.file(grant.target or f"/{grant.source}", content)

    def build_options(self, name: str, found: ComposeBuild) -> dict[str, object]:
        """The arguments of a `Build` besides its folder."""
        options: dict[str, object] = {"target": self._joined(found.target)} if found.target else {}
        arguments: dict[str, object] = {}
        for key, value in texts(found.args).items():
            credentials = Build(found.context, arguments={key: value}).credentials
            if credentials or self.is_secret(key, value):
                self.leave(
                    name,
                    f"build.args.{key}",
                    "is a credential, which the history of the image would show",
                    "mount it in the Dockerfile (RUN --mount=type=secret), and add it to the secrets of the"
                    " Build",
                )
            else:
                arguments[key] = self._joined(value)
        secrets: dict[str, object] = {}
        for grant in found.secrets:
            known = self.relations.file.secrets.get(grant.source)
            if known and known.environment:
                origin: dict[str, object] = {"environment": known.environment}
            elif known and known.file:
                origin = {"file": self._joined(known.file)}
            else:
                self.leave(
                    name,
                    f"build.secrets.{grant.source}",
                    "has neither a variable nor a file here",
                    "add a BuildSecret to the secrets of the Build",
                )
                continue
            self.use("model", "BuildSecret")
            secrets[grant.target or grant.source] = Call("BuildSecret", arguments=origin)
        if arguments:
            options["arguments"] = arguments
        if secrets:
            options["secrets"] = secrets
        return options

    def _joined(self, value: str) -> object:
        """As `text`, where only a string will do."""
        text = self.text(value)
        return Name(" + ".join(map(expression, text))) if isinstance(text, tuple) else text

    def mounted_files(self, name: str, service: Service) -> Iterator[Call]:
        for mount in service.volumes:
            if mount.type == "bind" and (self.relations.folder / (mount.source or "")).is_file():
                yield self.file(mount.target, self._content(mount.source or ""))

    def _content(self, source: str) -> Name:
        self.imports.setdefault("pathlib", set()).add("Path")
        return Name(f'Path("{source}").read_text()')

    def file(self, path: str, content: object) -> Call:
        self.use("model", "File")
        return Call("File", arguments={"path": path, "content": content})

    def volumes(self, name: str, service: Service) -> Iterator[Call]:
        users = Counter(
            mount.source
            for each in self.relations.kept.values()
            for mount in each.volumes
            if mount.type == "volume" and mount.source
        )
        for mount in service.volumes:
            if mount.type == "tmpfs":
                self.leave(name, f"volumes.{mount.target}", "is in memory", "add it to tmpfs")
            elif mount.type == "volume" and mount.source:
                if users[mount.source] > 1:
                    self.leave(
                        name,
                        f"volumes.{mount.source}",
                        "is shared by services; here each has its own",
                        "exchange data over a link",
                    )
                self.use("model", "Volume")
                yield Call("Volume", arguments={"name": label(mount.source), "path": mount.target})
            elif mount.type == "volume":
                self.leave(name, f"volumes.{mount.target}", "has no name", "name it, if it is data")
            elif not (self.relations.folder / (mount.source or "")).is_file():
                self._host_mount(name, mount)

    def _host_mount(self, name: str, mount: Mount) -> None:
        if (mount.source or "").endswith("docker.sock"):
            message, fix = "it makes the container root on the host", "do without"
        else:
            message = "folders of the host aren't mounted"
            fix = "copy sources into the image, and keep data in a volume"
        self.leave(name, f"volumes.{mount.source}", message, fix)

    def tmpfs(self, text: str) -> Call:
        path, _, options = text.partition(":")
        found = re.search(r"size=(\d+)([kmg]?)", options)
        self.use("model", "Tmpfs")
        size = (
            {
                "size_mib": max(
                    1, int(found[1]) * {"k": 1, "m": 1024, "g": 1024**2}.get(found[2], 1) // 1024
                )
            }
            if found
            else {}
        )
        return Call("Tmpfs", arguments={"path": path, **size})

    def memory(self, service: Service) -> int | None:
        return service.deploy.resources.limits.memory or service.mem_limit

    def resources(self, name: str, service: Service, default: int) -> Call:
        limits, reserved = service.deploy.resources.limits, service.deploy.resources.reservations
        memory = self.memory(service)
        if memory is None:
            self.change(
                name,
                "memory",
                f"has no limit in the file; it is {default} MiB here",
                "set what it needs",
            )
        arguments: dict[str, object] = {"memory_mib": memory or default}
        cpu = limits.cpus or service.cpus
        if cpu:
            arguments["cpu"] = int(cpu) if cpu == int(cpu) else cpu
        if reserved.cpus:
            arguments["cpu_reserved"] = reserved.cpus
        if service.shm_size:
            arguments["shared_memory_mib"] = service.shm_size
        self.use("model", "Resources")
        return Call("Resources", arguments=arguments)

    def gpu(self, name: str, service: Service) -> Call | None:
        devices = list(service.deploy.resources.reservations.devices)
        if isinstance(service.gpus, tuple):
            devices += [each.model_copy(update={"capabilities": ("gpu",)}) for each in service.gpus]
        elif service.gpus or service.runtime == "nvidia":
            devices.append(Device(capabilities=("gpu",), count=service.gpus or "all"))
        wanted = [each for each in devices if {"gpu", "nvidia"} & set(each.capabilities)]
        if not wanted:
            return None
        # Compose starts nothing without the device, either.
        arguments: dict[str, object] = {"mode": Name("GpuMode.REQUIRE")}
        first = wanted[0]
        if first.device_ids:
            arguments["device_ids"] = first.device_ids
        elif str(first.count).isdigit():
            if int(str(first.count)) > 1:
                arguments["count"] = int(str(first.count))
        else:
            self.change(
                name, "gpu", "all GPUs of the host become one", "set count if it needs more"
            )
        self.use("model", "Gpu", "GpuMode")
        return Call("Gpu", arguments=arguments)

    def port(self, port: Port) -> Call:
        arguments: dict[str, object] = {"name": port_name(port), "number": port.target}
        if port.last:
            arguments["last"] = port.last
        if port.protocol == "udp":
            self.use("model", "Protocol")
            arguments["protocol"] = Name("Protocol.UDP")
        if port.published:
            arguments["published"] = port.published
        self.use("model", "Port")
        return Call("Port", arguments={**arguments, "bound": False})

    def probe(self, name: str, service: Service, port: Port | None) -> Call | None:
        check = service.healthcheck
        if check is None or not check.command:
            if port is None:
                self.leave(name, "probe", "has neither a port nor a health check", "add a probe")
            else:
                self.change(
                    name,
                    "healthcheck",
                    f"becomes GET /health on port {port.target}",
                    "set a probe if the program has another",
                )
            return None
        found = HTTP_CHECK.search(" ".join(check.command))
        number = int(found[1] or 80) if found else 0
        if found:
            self.use("model", "HttpProbe")
            what = Call("HttpProbe", arguments={"port": number, "path": found[2] or "/"})
        else:
            self.use("model", "ExecProbe")
            what = Call("ExecProbe", arguments={"command": check.command})
        times = {
            "interval": "interval_seconds",
            "timeout": "timeout_seconds",
            "retries": "retries",
            "start_period": "start_period_seconds",
        }
        given = {
            ours: getattr(check, theirs)
            for theirs, ours in times.items()
            if theirs in check.model_fields_set
        }
        self.use("model", "Probe")
        return Call("Probe", arguments={"check": what, **given})

    def rotation(self, service: Service) -> Call | None:
        options = service.logging.options
        size = re.match(r"\d+", options.get("max-size", ""))
        if not size:
            return None
        self.use("model", "LogRotation")
        files = options.get("max-file", "3")
        return Call("LogRotation", arguments={"size_mib": int(size[0]), "files": int(files)})

    def use(self, module: str, *names: str) -> None:
        self.imports.setdefault(f"strata.{module}", set()).update(names)

    def change(self, service: str, key: str, message: str, fix: str) -> None:
        self.changed.append(Problem(f"{service}: {key}" if service else key, message, fix))

    def leave(self, service: str, key: str, message: str, fix: str) -> None:
        self.left_out.append(Problem(f"{service}: {key}" if service else key, message, fix))
