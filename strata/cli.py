"""The command `strata`. Commands import what they need when they run, so that `--help` is fast."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from strata import console, stack_commands
from strata.errors import exit_on_error
from strata.stack_commands import StackOption, Watch

if TYPE_CHECKING:
    import docker

    from strata.images.platforms import Platform
    from strata.images.source import Source


class _Commands(TyperGroup):
    """Reports the errors of every command."""

    def invoke(self, ctx: Any) -> Any:
        with exit_on_error():
            return super().invoke(ctx)


def _group(text: str, cls: type[TyperGroup] = TyperGroup) -> typer.Typer:
    return typer.Typer(
        cls=cls,
        help=text,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )


app = _group("GPU application stacks on Docker, Kubernetes and EKS.", _Commands)
backups = _group("Create, list and check continuous backups of a datastore on Docker.")
upgrade = _group("Move a PostgreSQL on Docker to a new major version, with its data.")
images = _group("Build, list, push and remove container images, and write their SBOMs.")
policy = _group("Check stacks with the policy packs.")
app.add_typer(backups, name="backups")
app.add_typer(upgrade, name="upgrade")
app.add_typer(images, name="images")
app.add_typer(policy, name="policy")

Folder = Annotated[Path, typer.Argument(help="The folder of the backup.")]
ServiceOption = Annotated[str, typer.Option(help="The datastore.")]
SourceOption = Annotated[
    str | None,
    typer.Option("--source", help="local, upstream or auto (default: STRATA_IMAGES, else auto)."),
]
Strict = Annotated[bool, typer.Option("--strict", help="Fail on what can't be judged, too.")]
Markdown = Annotated[Path | None, typer.Option(help="Also write the result to this file.")]


@images.command("build")
def build_images(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Logical images or folders (default: all images but on-demand ones)."),
    ] = None,
    all_images: Annotated[bool, typer.Option("--all", help="Include on-demand images.")] = False,
    source: SourceOption = None,
) -> None:
    """Build or pull the images that the engine lacks."""
    from strata import docker_engine
    from strata.images import catalogue
    from strata.images.choose import choose

    begin = time.monotonic()
    catalogue.check(names or ())  # Before the engine is asked.
    wanted = names or [
        image.name for image in catalogue.IMAGES.values() if all_images or not image.on_demand
    ]
    client = docker_engine.connect()
    chosen, reason = choose(source)
    _build(client, wanted, chosen)
    seconds = time.monotonic() - begin
    console.info(f"images: {len(wanted)} ready ({chosen}: {reason}; {seconds:.1f} s)")


def _build(
    client: docker.DockerClient,
    names: list[str],
    source: Source,
    targets: Sequence[Platform] = (),
) -> None:
    from strata.images.build import build, build_for

    try:
        with console.Steps("Image") as steps:
            if targets:
                build_for(client, names, source, targets, steps.update)
            else:
                build(client, names, source, steps.update)
    except KeyboardInterrupt:
        typer.echo("interrupted; the finished images stay, and the next run continues", err=True)
        # Python would wait for the threads of the builds.
        os._exit(130)


@images.command("list")
def list_images(source: SourceOption = None) -> None:
    """List all logical images with their size and reference."""
    from strata import docker_engine
    from strata.images import engine
    from strata.images.choose import choose

    client = docker_engine.connect()
    chosen, reason = choose(source)
    console.info(f"images: {chosen} ({reason})")
    for line in engine.table(client, chosen):
        console.info(line)


@images.command("push")
def push_images(
    names: Annotated[list[str], typer.Argument(help="Logical images.")],
    account: Annotated[str, typer.Option(help="The AWS account: 12 digits.")],
    region: Annotated[str, typer.Option(help="The AWS region.")],
    prefix: Annotated[str, typer.Option(help="The prefix of the repositories: the cluster.")],
    digests: Annotated[Path, typer.Option(help="The JSON file to write the digests to.")],
    source: SourceOption = None,
    platform: Annotated[
        list[str] | None,
        typer.Option(help="linux/amd64 or linux/arm64 (repeatable; default: this machine's)."),
    ] = None,
) -> None:
    """Push images to AWS ECR. Exits with 3 if a repository does not exist yet."""
    from strata import docker_engine
    from strata.images import catalogue, platforms, push
    from strata.images.choose import choose

    catalogue.check(names)  # Before the engine and AWS are asked.
    client = docker_engine.connect()
    chosen, _ = choose(source)
    ecr = push.client_of(region)
    registry = push.log_in(ecr, account, region, prefix)
    # Before the build, which takes minutes.
    targets = platforms.named(platform or ())
    platforms.check(client, names, targets)
    repositories = {name: catalogue.get(name).name for name in names}
    push.check_repositories(ecr, account, registry, list(repositories.values()))
    _build(client, names, chosen, targets)
    by_name: dict[str, str] = {}
    pushed = 0
    for name in names:
        with console.step(f"Pushing image {name}") as step:
            digest, is_new = push.push(client, registry, name, chosen, step.update, targets)
            by_name[repositories[name]] = digest
        pushed += is_new
    digests.write_text(json.dumps(by_name))
    console.info(f"images: {pushed} pushed, {len(names) - pushed} already in the registry")


@images.command("sbom")
def write_sboms(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Logical images or folders (default: all that the engine has)."),
    ] = None,
    output: Annotated[Path, typer.Option(help="The folder to write to.")] = Path("sbom"),
    source: SourceOption = None,
) -> None:
    """Write the SBOM of each image (CycloneDX JSON) with Syft."""
    from strata import docker_engine
    from strata.images import catalogue, sbom
    from strata.images.choose import choose

    catalogue.check(names or ())  # Before the engine is asked.
    syft = sbom.program()
    client = docker_engine.connect()
    chosen, _ = choose(source)
    targets = sbom.targets(client, names or (), chosen)
    for target in targets:
        with console.step(f"Generating the SBOM of {target.name}"):
            packages = sbom.write(target, output, syft)
        types = ", ".join(f"{number} {name}" for name, number in packages.items())
        console.info(f"  {target.name}: {types or 'no packages'}")
    console.info(f"images: {len(targets)} SBOMs in {output}")


@images.command("clean")
def clean_images(
    everything: Annotated[
        bool, typer.Option("--all", help="Every image that this command built.")
    ] = False,
) -> None:
    """Remove builder stages and images of older content."""
    from strata import docker_engine
    from strata.images import engine

    removed = engine.clean(docker_engine.connect(), everything=everything)
    console.info(f"images: {removed} removed")


@app.command("import")
def import_compose(
    file: Annotated[Path, typer.Argument(help="A Compose file.")],
    output: Annotated[
        Path, typer.Option(help="The system file to write; its name is the system's.")
    ],
) -> None:
    """Write a system file from a Compose file, and list what differs."""
    from strata.errors import StrataError
    from strata.importer.system_file import report, translate

    if output.exists():
        raise StrataError(f"{output}: exists", "name another file, or remove it")
    if not output.stem.isidentifier() or output.suffix != ".py":
        raise StrataError(
            f"{output}: isn't the name of a module", "use a name such as systems/shop.py"
        )
    system = translate(file, output.stem)
    output.write_text(system.code)
    for line in report(system):
        console.info(line)
    console.info(f"\nwrote {output}; next: pulumi config set strata:system {output.stem}")


@images.command("prune")
def prune_images(
    older_than: Annotated[
        str, typer.Option(help="The age of images to remove: 12h, 7d, or a time (UTC).")
    ] = "7d",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the images.")] = False,
) -> None:
    """Remove old images of this clone that no container uses and no stack needs."""
    from datetime import UTC, datetime

    from strata import docker_engine
    from strata.images import prune
    from strata.ops.logs import since

    now = datetime.now(UTC)
    before = since(older_than, now, "--older-than")
    client = docker_engine.connect()
    with docker_engine.errors("images: Docker failed"):
        done = []
        for image in prune.old_images(client, before):
            if dry_run or prune.remove(client, image):
                done.append(image)
                age = f"{(now - image.created).days} days old"
                size = f"{image.size_bytes / console.MB:.1f} MB"
                console.info(f"  {', '.join(image.targets):<40}  {size:>9}  {age}")
    size_bytes = sum(image.size_bytes for image in done)
    console.info(
        f"images: {len(done)} {'would be removed' if dry_run else 'removed'},"
        f" {size_bytes / console.MB:.1f} MB with the layers that other images share"
    )


@app.command()
def backup(folder: Folder, stack: StackOption = "dev") -> None:
    """Back up the volumes with data, encrypted. Stops each service while its volumes are read."""
    from strata import ops
    from strata.ops.backup import backup

    done = ops.run(lambda opened, key: backup(opened, folder.absolute(), key), stack)
    size_bytes = sum(archive.bytes for archive in done.archives)
    console.info(
        f"backup of {done.stack}: {len(done.archives)} volumes, {size_bytes / console.MB:.1f} MB,"
        f" in {folder}"
    )


@app.command("backup-key")
def backup_key(stack: StackOption = "dev") -> None:
    """Print the private key of the backups, which derives from the seed."""
    from strata import config
    from strata.ops.encryption import of_seed
    from strata.ops.project import open_project

    settings = config.load(open_project(stack).configuration)
    typer.echo(of_seed(config.read_seed(settings)).private, nl=False)


@app.command()
def restore(
    folder: Annotated[Path | None, typer.Argument(help="The folder of the backup.")] = None,
    to: Annotated[
        str | None,
        typer.Option(help="A time (UTC, or 90s, 10m, 2h, 1d ago), or a name by `backups mark`."),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(help="What `backup-key` printed, for a backup with another seed."),
    ] = None,
    service: ServiceOption = "postgres",
    stack: StackOption = "dev",
) -> None:
    """Restore the volumes with data from a backup, and verify them. With --to instead of a folder:
    restore one service from its continuous backups."""
    from strata import ops
    from strata.errors import StrataError
    from strata.ops.continuous import of_service
    from strata.ops.encryption import of_file
    from strata.ops.restore import restore

    other = of_file(key) if key else None
    if folder is None and to is not None:
        ops.run(lambda opened, _: of_service(opened, service).restore(to), stack)
        console.info(f"restored {service} of {stack} to {to}")
    elif folder is not None and to is None:
        done = ops.run(lambda opened, own: restore(opened, folder.absolute(), other or own), stack)
        created = done.created.strftime("%Y-%m-%d %H:%M:%S UTC")
        console.info(
            f"restored {len(done.archives)} volumes of {stack} from the backup of {done.stack} of"
            f" {created}"
        )
    else:
        raise StrataError("restore: needs a folder or --to", "name one of them")


@backups.command("list")
def list_backups(service: ServiceOption = "postgres", stack: StackOption = "dev") -> None:
    """List the continuous backups of a service, and its named restore points."""
    from strata import ops
    from strata.ops.continuous import of_service

    console.info(ops.run(lambda opened, _: of_service(opened, service).list(), stack))


@backups.command("create")
def create_backup(
    full: Annotated[bool, typer.Option("--full", help="Everything, not only changes.")] = False,
    service: ServiceOption = "postgres",
    stack: StackOption = "dev",
) -> None:
    """Create a backup now, while the service runs."""
    from strata import ops
    from strata.ops.continuous import of_service

    ops.run(lambda opened, _: of_service(opened, service).create(full=full), stack)


@backups.command("mark")
def mark_restore_point(
    name: Annotated[str, typer.Argument(help="The name of the restore point.")],
    service: ServiceOption = "postgres",
    stack: StackOption = "dev",
) -> None:
    """Name the present state, for `strata restore --to NAME`."""
    from strata import ops
    from strata.ops.continuous import of_service

    ops.run(lambda opened, _: of_service(opened, service).mark(name), stack)


@backups.command("verify")
def verify_backup(service: ServiceOption = "postgres", stack: StackOption = "dev") -> None:
    """Restore the newest backup and all changes since beside the data, and check every page."""
    from strata import ops
    from strata.ops.continuous import of_service

    console.info(ops.run(lambda opened, _: of_service(opened, service).verify(), stack))


@upgrade.command("prepare")
def prepare_upgrade(service: ServiceOption = "postgres", stack: StackOption = "dev") -> None:
    """Write a dump for the next major version. The application can't log in from now on."""
    from strata import ops
    from strata.ops.upgrade import of_service

    console.info(ops.run(lambda opened, _: of_service(opened, service).prepare(), stack))
    console.info("next: update to a later version, or take this back by `strata upgrade cancel`")


@upgrade.command("cancel")
def cancel_upgrade(service: ServiceOption = "postgres", stack: StackOption = "dev") -> None:
    """Take `prepare` or `revert` back. The application can log in again."""
    from strata import ops
    from strata.ops.upgrade import of_service

    ops.run(lambda opened, _: of_service(opened, service).cancel(), stack)


@upgrade.command("revert")
def revert_upgrade(service: ServiceOption = "postgres", stack: StackOption = "dev") -> None:
    """Return to the data before the upgrade with the next update to the earlier version."""
    from strata import ops
    from strata.ops.upgrade import of_service

    console.info(ops.run(lambda opened, _: of_service(opened, service).revert(), stack))


@upgrade.command("confirm")
def confirm_upgrade(service: ServiceOption = "postgres", stack: StackOption = "dev") -> None:
    """Delete the data before the upgrade."""
    from strata import ops
    from strata.ops.upgrade import of_service

    ops.run(lambda opened, _: of_service(opened, service).confirm(), stack)


@app.command()
def status(
    stack: StackOption = "dev",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    watch: Watch = False,
) -> None:
    """Show what runs of a stack, and on Docker its alerts. Exits with 1 if anything isn't healthy."""
    from strata.errors import StrataError
    from strata.ops import status as ops
    from strata.ops.deployed import open_deployed

    if watch and as_json:
        raise StrataError("--json: can't be combined with --watch", "leave one of them out")
    with open_deployed(stack) as deployed:
        if watch:
            console.watch(map(ops.lines, ops.frames(deployed.status)))
        found = deployed.status()
    if as_json:
        console.info(json.dumps(found.as_json(), indent=2))
    else:
        for line in ops.lines(found):
            console.info(line)
    raise typer.Exit(0 if found.is_healthy else 1)


@app.command()
def logs(
    services: Annotated[
        list[str] | None, typer.Argument(help="Services or jobs (default: all).")
    ] = None,
    stack: StackOption = "dev",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Run until Ctrl-C.")] = False,
    since: Annotated[
        str | None, typer.Option(help="Only newer lines: 90s, 10m, 2h, 1d, or a time (UTC).")
    ] = None,
    tail: Annotated[int | None, typer.Option(min=0, help="Lines of each container.")] = None,
) -> None:
    """Show what the containers of a stack print."""
    from datetime import UTC, datetime

    from strata.ops import logs as ops
    from strata.ops.deployed import open_deployed

    after = ops.since(since, datetime.now(UTC)) if since else None
    with open_deployed(stack) as deployed:
        found = deployed.logs(ops.Selection(services=services or (), since=after, tail=tail))
        if follow:
            found.follow(ops.show)
        else:
            for line in found.past():
                ops.show(line)


@policy.command()
def check(
    system: Annotated[list[str] | None, typer.Option(help="A system (repeatable).")] = None,
    stack: Annotated[list[str] | None, typer.Option(help="A stack (repeatable).")] = None,
    strict: Strict = False,
    markdown: Markdown = None,
) -> None:
    """Preview every system, or your own program, on every stack with its policy packs."""
    from strata.policies import commands

    status = commands.check(
        systems=system or (), stacks=stack or (), strict=strict, markdown=markdown
    )
    raise typer.Exit(status)


@policy.command()
def audit(stack: StackOption = "dev", strict: Strict = False, markdown: Markdown = None) -> None:
    """Judge the state of a stack with its policy packs."""
    from strata.policies import commands

    raise typer.Exit(commands.audit(stack, strict=strict, markdown=markdown))


@policy.command()
def docs(
    only_check: Annotated[bool, typer.Option("--check", help="Only list stale files.")] = False,
) -> None:
    """Write docs/policies and the levels of the packs from the rules."""
    from strata.policies import commands

    raise typer.Exit(commands.write_docs(only_check=only_check))


for name, command in stack_commands.COMMANDS.items():
    app.command(name)(command)
