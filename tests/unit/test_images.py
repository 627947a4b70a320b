"""The catalogue, the hashes that name images, and the order that they are built in. No engine is
asked."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from strata.errors import ImageError, InvalidStackError
from strata.images import catalogue, choose, content, host, root
from strata.images.build import plan
from strata.images.content import File
from strata.images.log import Tail
from strata.images.source import Source, parent_reference, resolve, root_reference
from strata.platforms.kubernetes.images import ImageResolver
from tests.project import REPOSITORY

NAMES = tuple(catalogue.IMAGES)
PARENTS = ("base", "python", "go", "node")
RECIPES = tuple(name for name, image in catalogue.IMAGES.items() if image.recipe)


def test_every_image_has_a_recipe_and_no_recipe_is_left_over() -> None:
    folders = {path.name for path in content.RECIPES.iterdir()}
    names = (*RECIPES, f"{catalogue.DEBUGGER}python")
    assert folders == {content.folder_of(name).name for name in names}
    for name in names:
        assert (content.folder_of(name) / "Dockerfile").is_file()


def test_upstream_references_are_pinned_by_digest() -> None:
    images = catalogue.IMAGES.values()
    pinned = [ref for image in images for ref in (image.upstream, image.kubernetes) if ref]
    assert pinned
    for reference in [*pinned, catalogue.UPSTREAM_ROOT]:
        assert re.fullmatch(r"[a-z0-9.]+\.io/[a-z0-9_/-]+@sha256:[0-9a-f]{64}", reference)


def test_what_docker_builds_for_its_health_checks_pods_take_from_upstream() -> None:
    resolver = ImageResolver(registry=None, digests={})
    for name, image in catalogue.IMAGES.items():
        if image.kubernetes:
            assert image.upstream is None, "Docker would use it where a registry is reachable"
            assert resolver.reference(name) == image.kubernetes


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("source", list(Source))
def test_references(name: str, source: Source) -> None:
    reference = resolve(name, source)
    assert resolve(name, str(source)) == reference
    image = catalogue.get(name)
    if image.upstream and (source is Source.UPSTREAM or not image.recipe):
        assert reference == image.upstream
    else:
        assert re.fullmatch(rf"strata/{name}:[0-9a-f]{{12}}", reference)


def test_an_own_image_differs_with_what_it_stands_on() -> None:
    assert resolve("application", Source.LOCAL) != resolve("application", Source.UPSTREAM)
    assert parent_reference("python", Source.LOCAL) == resolve("base", Source.LOCAL)
    assert parent_reference("base", Source.UPSTREAM) == catalogue.UPSTREAM_ROOT


def test_a_debugger_is_added_to_an_image(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "Dockerfile").write_text("ARG PARENT\nFROM ${PARENT}\n")
    for name, own in (("application", "application"), (str(folder), "model")):
        debugger = f"{catalogue.DEBUGGER}{name}"
        reference = resolve(debugger, Source.LOCAL)
        assert reference.startswith(f"strata/{own}-debugger:")
        assert parent_reference(debugger, Source.LOCAL) == resolve(name, Source.LOCAL)
        steps = plan([debugger], Source.LOCAL, {resolve(name, Source.LOCAL)}).steps
        assert [step.reference for step in steps] == [reference]


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(ImageError, match="unknown image 'mysql'\n    use one of: base"):
        resolve("mysql", Source.LOCAL)
    with pytest.raises(ValueError, match="'elsewhere' is not a valid Source"):
        resolve("redis", "elsewhere")


def test_all_unknown_names_are_reported_at_once() -> None:
    with pytest.raises(InvalidStackError) as error:
        catalogue.check(["mysql", "redis", "./nothing", "mongo"])
    assert "images: unknown image 'mysql'; unknown image 'mongo'\n" in str(error.value)
    assert "nothing/Dockerfile does not exist\n" in str(error.value)
    catalogue.check(["redis"])


@pytest.mark.parametrize(
    "changed",
    [
        [File("a", b"2")],
        [File("b", b"1")],
        [File("a", b"1", executable=True)],
        [File("a", b"1"), File("b", b"")],
    ],
)
def test_a_digest_changes_with_every_part_of_the_content(changed: list[File]) -> None:
    assert content.digest([File("a", b"1")], "parent") != content.digest(changed, "parent")


def test_a_digest_does_not_depend_on_order_and_does_on_the_parent() -> None:
    files = [File("a", b"1"), File("b", b"2")]
    assert content.digest(files, "p") == content.digest(files[::-1], "p")
    assert content.digest(files, "p") != content.digest(files, "q")


def test_what_python_leaves_behind_is_no_content() -> None:
    paths = [file.path for name in RECIPES for file in content.context(name)]
    assert not [path for path in paths if "__pycache__" in path or path.endswith(".pyc")]
    assert "apps/api/page/index.html" in paths


def test_an_archive_is_the_same_on_every_machine() -> None:
    files = [File("run.sh", b"#!/bin/bash\n", executable=True), File("Dockerfile", b"FROM x\n")]
    first = content.archive(files, {".build/pip.conf": b"[global]\n"})
    assert first == content.archive(files[::-1], {".build/pip.conf": b"[global]\n"})
    with tarfile.open(fileobj=io.BytesIO(first)) as tar:
        entries = {entry.name: entry for entry in tar.getmembers()}
    assert entries["run.sh"].mode == 0o755
    assert entries["Dockerfile"].mode == 0o644
    assert {(entry.uid, entry.mtime) for entry in entries.values()} == {(0, 0)}


# -- the plan


def names_of(references: set[str]) -> list[str]:
    return [step.name for step in plan(["postgres", "application"], Source.LOCAL, references).steps]


def test_parents_come_first_and_once() -> None:
    assert names_of(set()) == ["root", "base", "postgres", "python", "application"]
    steps = plan(["postgres", "application"], Source.LOCAL, set()).steps
    seen: set[str] = set()
    for step in steps:
        assert seen.issuperset(step.needs)
        seen.add(step.reference)


def test_what_is_there_is_not_made_again() -> None:
    base, python = resolve("base", Source.LOCAL), resolve("python", Source.LOCAL)
    assert names_of({base}) == ["postgres", "python", "application"]
    # A run that was broken off goes on where it was, whatever became of the root since.
    assert names_of({base, python, resolve("postgres", Source.LOCAL)}) == ["application"]
    whole = {resolve(name, Source.LOCAL) for name in ("postgres", "application")}
    todo = plan(["postgres", "application"], Source.LOCAL, whole)
    assert not todo.steps
    assert set(todo.ready) == whole


def test_upstream_pulls_engines_and_builds_our_own() -> None:
    steps = plan(["redis", "probe-server"], Source.UPSTREAM, set()).steps
    assert [(step.name, step.kind) for step in steps] == [
        ("redis", "pull"),
        ("root", "pull"),
        ("base", "build"),
        ("python", "build"),
        ("probe-server", "build"),
    ]
    assert root_reference(Source.UPSTREAM) == catalogue.UPSTREAM_ROOT


def test_an_own_image_stands_on_our_build_of_an_engine() -> None:
    steps = plan(["postgres", "postgres-backup"], Source.UPSTREAM, set()).steps
    assert [(step.name, step.kind) for step in steps] == [
        ("postgres", "pull"),
        ("root", "pull"),
        ("base", "build"),
        ("postgres", "build"),
        ("postgres-backup", "build"),
    ]
    assert steps[-1].needs == (steps[-2].reference,)
    assert steps[-2].reference == parent_reference("postgres-backup", Source.UPSTREAM)


def test_an_image_without_a_recipe_is_pulled_whatever_the_source() -> None:
    (step,) = plan(["grafana"], Source.LOCAL, set()).steps
    assert (step.kind, step.reference) == ("pull", catalogue.get("grafana").upstream)


# -- recipes


def stages(name: str) -> list[str]:
    text = (content.folder_of(name) / "Dockerfile").read_text()
    return re.split(r"(?m)^FROM ", text)[1:]


# An image with backups has the user and the entry point of its parent.
@pytest.mark.parametrize(
    "name",
    [name for name in RECIPES if name not in PARENTS and catalogue.get(name).recipe_of != "backup"],
)
def test_the_final_stage_is_not_root_and_has_an_init(name: str) -> None:
    final = stages(name)[-1]
    assert re.search(r"(?m)^USER [1-9][0-9]*:[1-9][0-9]*$", final)
    assert '"/usr/bin/tini", "-s", "--"' in final


@pytest.mark.parametrize("name", RECIPES)
def test_nothing_of_the_host_reaches_a_final_stage(name: str) -> None:
    *builders, final = stages(name)
    assert ".build" not in final
    assert "pip install" not in final
    for stage in builders:
        # A stage that only names an image is none of its own.
        assert "LABEL strata.build=stage" in stage or len(stage.splitlines()) <= 2


@pytest.mark.parametrize("name", RECIPES)
def test_the_recipe_needs_no_buildkit_and_names_no_registry(name: str) -> None:
    text = (content.folder_of(name) / "Dockerfile").read_text()
    assert "--mount" not in text
    assert "# syntax" not in text
    assert "<<" not in text
    assert not re.search(r"https?://", text)
    builder = catalogue.get(name).builder is not None
    assert text.count("ARG BUILDER\n") == text.count("FROM ${BUILDER} AS build\n") == int(builder)
    assert re.search(r"(?m)^ARG PARENT\n(ARG BUILDER\n)?(\n)?FROM \$\{(PARENT|BUILDER)\}", text)


def test_packages_are_installed_by_hash_and_locks_name_no_host() -> None:
    folders = (REPOSITORY / "apps", content.RECIPES)
    locks = [lock for folder in folders for lock in sorted(folder.rglob("requirements*.lock"))]
    assert len(locks) == 12
    for lock in locks:
        text = lock.read_text()
        assert "://" not in text
        pinned = re.findall(r"(?m)^[a-z0-9._-]+==\S+ \\\n +--hash=sha256:", text)
        assert len(pinned) == len(re.findall(r"(?m)^[a-z0-9]", text)) > 0
    for name in RECIPES:
        for line in (content.folder_of(name) / "Dockerfile").read_text().split("RUN "):
            if "pip install" in line:
                assert "--require-hashes" in line


def test_npm_packages_have_hashes_and_locks_name_no_host() -> None:
    (file,) = (REPOSITORY / "apps").glob("*/package-lock.json")
    root, *packages = json.loads(file.read_text())["packages"].values()
    assert len(packages) > len(root["dependencies"]) > 0
    for package in packages:
        assert package["integrity"].startswith("sha512-")
        assert "resolved" not in package
    # Exact versions, which Renovate updates with the lock.
    declared = json.loads((file.parent / "package.json").read_text())
    for version in [*declared["dependencies"].values(), *declared["overrides"].values()]:
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)


def test_jars_are_downloaded_by_hash() -> None:
    locks = sorted(content.RECIPES.glob("*/jars.lock"))
    assert [lock.parent.name for lock in locks] == ["opensearch", "questdb"]
    for lock in locks:
        for line in lock.read_text().splitlines():
            digest, target, path = line.split(" ")
            assert re.fullmatch(r"[0-9a-f]{64}", digest)
            # The path in Maven's repository: GROUP/ARTIFACT/VERSION/ARTIFACT-VERSION.jar
            *_, artifact, version, file = path.split("/")
            assert file == f"{artifact}-{version}.jar" == target.rpartition("/")[2]
        download = (lock.parent / "download.sh").read_text()
        assert "sha256sum --check --strict" in download


def test_downloaded_programs_are_pinned_and_renovate_updates_them() -> None:
    versions: dict[str, set[str]] = {}
    for name in RECIPES:
        text = (content.folder_of(name) / "Dockerfile").read_text()
        pins = re.findall(r"(?m)^# renovate: \S+ depName=(\S+)\nARG (\w+_VERSION)=(\S+)$", text)
        assert len(pins) == text.count("_VERSION="), name
        for dependency, _, version in pins:
            versions.setdefault(dependency, set()).add(version)
        for module in re.findall(r"(?m)^ +(github\.com/\S+)", text):
            repository = re.match(r"[^/]+/[^/]+/[^/@]+(/v\d+)?", module)
            assert module.endswith("@$APP_VERSION")
            assert repository
            assert repository[0] in [dependency for dependency, _, _ in pins]
    assert {name: len(values) for name, values in versions.items()} == {
        "go": 1,
        "npm": 1,
        "github.com/VictoriaMetrics/VictoriaMetrics": 1,
        "github.com/VictoriaMetrics/VictoriaLogs": 1,
        "github.com/jaegertracing/jaeger": 1,
        "github.com/axllent/mailpit": 1,
        "github.com/oauth2-proxy/oauth2-proxy/v7": 1,
        "github.com/traefik/traefik/v3": 1,
    }


def test_what_compiles_an_image_is_built_first_and_once() -> None:
    steps = plan(["prometheus", "vlagent"], Source.LOCAL, set()).steps
    assert [step.name for step in steps] == [
        "root",
        "base",
        "go",
        "prometheus",
        "victoria-logs",
        "vlagent",
    ]
    assert steps[-1].needs == tuple(
        resolve(each, Source.LOCAL) for each in ("base", "victoria-logs")
    )


# -- what a build takes from the host


def test_the_bundle_that_is_named_goes_into_the_build(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(b"certificate")
    files = host.build_files({"PIP_CERT": str(bundle), "HOME": str(tmp_path)})
    assert files[".build/authorities.pem"] == b"certificate"
    assert b"cert = /build/authorities.pem" in files[".build/pip.conf"]


def test_pip_settings_of_files_and_environment(tmp_path: Path) -> None:
    settings = tmp_path / "pip.conf"
    settings.write_text(
        "[global]\nindex-url = https://packages.example/simple\n"
        "find-links = /opt/wheels\ntimeout = 5\n"
    )
    environment = {"PIP_CONFIG_FILE": str(settings), "PIP_TIMEOUT": "90", "HOME": str(tmp_path)}
    found = host.pip_settings(environment)
    assert found["index-url"] == "https://packages.example/simple"
    assert found["timeout"] == "90"
    # A folder of the host is nothing in a build.
    assert "find-links" not in found


def test_the_npm_registry_of_the_file_and_the_environment(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    assert host.npm_registry(home) == "https://registry.npmjs.org/"
    (tmp_path / ".npmrc").write_text(
        "registry = https://file.example/npm\n//file.example/:_authToken=secret\n"
    )
    assert host.npm_registry({**home, "NPM_CONFIG_REGISTRY": "https://npm.example/"}) == (
        "https://npm.example/"
    )
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(b"certificate")
    # A login of the host isn't copied.
    assert host.build_files({**home, "PIP_CERT": str(bundle)})[".build/npmrc"].decode() == (
        "registry=https://file.example/npm/\naudit=false\nfund=false\n"
        "cafile=/build/authorities.pem\n"
    )


def test_go_settings_of_the_file_and_the_environment(tmp_path: Path) -> None:
    settings = tmp_path / ".config/go/env"
    settings.parent.mkdir(parents=True)
    settings.write_text(
        "GOPROXY=https://file.example\nGOSUMDB=off\nGOTOOLCHAIN=local\nGOFLAGS=-mod=mod\n"
    )
    environment = {"HOME": str(tmp_path), "GOPROXY": "https://modules.example", "GOSUMDB": ""}
    assert host.build_files(environment)[".build/go.env"].decode().splitlines() == [
        "GOPROXY=https://modules.example",
        "GOSUMDB=off",
    ]
    assert host.go_settings({**environment, "GOENV": "off", "GOPROXY": ""}) == {}


def test_proxies_and_the_network_they_need() -> None:
    assert host.proxies({"https_proxy": "http://proxy.example:3128"}) == {
        "HTTPS_PROXY": "http://proxy.example:3128",
        "https_proxy": "http://proxy.example:3128",
    }
    assert host.network_mode({"HTTP_PROXY": "http://proxy.example:3128"}) is None
    assert host.network_mode({"HTTP_PROXY": "http://127.0.0.1:3128"}) == "host"


# -- the source


def test_the_setting_decides_and_a_bad_one_is_refused(tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    assert choose.choose("upstream", environment={}, memory=memory)[0] is Source.UPSTREAM
    found = choose.choose(environment={"STRATA_IMAGES": "local"}, memory=memory)
    assert found == (Source.LOCAL, "set by STRATA_IMAGES")
    with pytest.raises(
        ImageError, match=r"'maybe' is not a source .*\n    use local .* upstream .* or auto"
    ):
        choose.choose("maybe", environment={}, memory=memory)
    assert not memory.exists()


def test_auto_asks_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = tmp_path / "new" / "memory"
    asked: list[int] = []

    def probe() -> tuple[Source, str]:
        asked.append(1)
        return Source.UPSTREAM, "an image registry can be reached"

    monkeypatch.setattr(choose, "probe", probe)
    for _ in range(3):
        assert choose.choose("auto", environment={}, memory=memory)[0] is Source.UPSTREAM
    assert len(asked) == 1
    memory.write_text("nonsense")
    assert choose.choose(environment={}, memory=memory)[0] is Source.UPSTREAM
    assert len(asked) == 2


# -- small parts


def test_the_root_is_described_in_full() -> None:
    suite, arguments = root.options((content.RECIPES / "base" / "root.conf").read_text())
    assert suite == "trixie"
    assert "--variant=minbase" in arguments
    assert "--dpkgopt=path-exclude=/usr/share/man/*" in arguments
    assert "--dpkgopt=path-include=/usr/share/doc/*/copyright" in arguments


def test_the_tail_keeps_the_end() -> None:
    tail = Tail(2)
    tail.add("one\n\ntwo\n")
    tail.add("\x1b[91mthree\x1b[0m")
    tail.add("\x1b[0m\n")
    assert str(tail) == "    two\n    three"


def test_naming_an_image_needs_no_docker() -> None:
    """The program of a stack imports this at every run."""
    script = (
        "import sys, strata.images.catalogue, strata.images.source, strata.images.choose\n"
        "strata.images.source.resolve('application', 'local')\n"
        "sys.exit('docker' in sys.modules or 'rich' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, check=False).returncode == 0
    )


def test_no_engine_is_one_clear_sentence() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "strata", "images", "build", "base"],
        cwd=REPOSITORY,
        env={"DOCKER_HOST": "unix:///nowhere.sock", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: docker: no Docker engine answers at unix:///nowhere.sock")
    assert len(done.stderr.splitlines()) == 2


DIGEST = f"sha256:{64 * 'a'}"


def test_a_reference_by_digest_is_used_as_it_is() -> None:
    reference = f"registry.example.com/team/app@{DIGEST}"
    for source in Source:
        assert resolve(reference, source) == reference
    with pytest.raises(ImageError, match="unknown image"):
        catalogue.get("registry.example.com/team/app:1.0")


def test_the_packs_accept_the_registry_of_every_upstream_image() -> None:
    levels = json.loads((REPOSITORY / "policies" / "prod.json").read_text())
    allowed = tuple(f"{each}/" for each in levels["registry"]["registries"])
    upstream = {image.upstream_for_pods for image in catalogue.IMAGES.values()} - {None}
    assert len(upstream) > 20
    assert [each for each in upstream if not str(each).startswith(allowed)] == []
