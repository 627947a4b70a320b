"""What a node reads when it boots, and the script that cuts its GPUs into slices."""

import email
import email.policy
import os
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from strata.config.aws import GpuNodes
from strata.model import LogRotation, Ulimit
from strata.platforms.eks.aws import gpu_sharing
from strata.platforms.eks.aws.gpu_sharing import CONFIG, MIG_CONFIG
from strata.platforms.eks.aws.user_data import NodeSettings, gpu, node_settings, system
from tests.unit.examples import service

SETTINGS = NodeSettings(log_size_mib=20, log_files=5, pids=8192)


def nodes(**changes: Any) -> GpuNodes:
    return GpuNodes.model_validate({"name": "gpu", "instanceTypes": ["p5.48xlarge"], **changes})


def parts(text: str) -> list[tuple[str, str]]:
    message = email.message_from_string(text, policy=email.policy.default)
    assert not message.defects
    found = []
    for part in message.iter_parts():
        content = part.get_content()
        found.append(
            (
                part.get_content_type(),
                content.decode() if isinstance(content, bytes) else str(content),
            )
        )
    return found


def spec(text: str) -> dict[str, Any]:
    """What nodeadm is told."""
    (config,) = [content for kind, content in parts(text) if kind == "application/node.eks.aws"]
    document: dict[str, Any] = yaml.safe_load(config)
    assert document["apiVersion"] == "node.eks.aws/v1alpha1"
    assert document["kind"] == "NodeConfig"
    return dict(document["spec"])


KUBELET = {"containerLogMaxSize": "20Mi", "containerLogMaxFiles": 5, "podPidsLimit": 8192}


def test_system_nodes_keep_logs_and_processes_as_the_stack_wants() -> None:
    assert spec(system(SETTINGS)) == {"kubelet": {"config": KUBELET}}


def test_gpu_nodes_pull_images_fast_onto_their_own_disks() -> None:
    assert spec(gpu(nodes(), SETTINGS)) == {
        "kubelet": {"config": KUBELET},
        "featureGates": {"FastImagePull": True},
        "instance": {"localStorage": {"strategy": "RAID0"}},
    }


def test_the_largest_of_the_stack_counts() -> None:
    many = service("many", log_rotation=LogRotation(size_mib=50, files=2))
    long = service(
        "long",
        log_rotation=LogRotation(size_mib=5, files=9),
        ulimits=(Ulimit(name="nproc", soft=100, hard=20000), Ulimit(name="nofile", soft=1, hard=2)),
    )
    assert node_settings([many, long]) == NodeSettings(log_size_mib=50, log_files=9, pids=20000)


def test_kubelet_gets_no_less_than_it_takes() -> None:
    small = service(
        "small",
        log_rotation=LogRotation(size_mib=1, files=1),
        ulimits=(Ulimit(name="nproc", soft=10, hard=10),),
    )
    assert node_settings([small]) == NodeSettings(log_size_mib=1, log_files=2, pids=1024)
    assert node_settings([]) == NodeSettings()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"version": "v1", "flags": {"migStrategy": "none"}}),
        (
            {"sharing": "time-slicing", "timeSlices": 4},
            {
                "version": "v1",
                "flags": {"migStrategy": "none"},
                "sharing": {
                    "timeSlicing": {
                        "renameByDefault": True,
                        "failRequestsGreaterThanOne": True,
                        "resources": [{"name": "nvidia.com/gpu", "replicas": 4}],
                    }
                },
            },
        ),
    ],
)
def test_the_device_plugins_configuration_is_there_before_the_node_joins(
    changes: dict[str, Any], expected: dict[str, Any], tmp_path: Path
) -> None:
    # Scripts are run before nodeadm is, whatever stands first (nodeadm-run.service).
    (script,) = [
        content for kind, content in parts(gpu(nodes(**changes), SETTINGS)) if "shell" in kind
    ]
    _run(script, tmp_path, {})
    assert yaml.safe_load(_at(tmp_path, CONFIG).read_text()) == expected


def _at(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


def _run(script: str, root: Path, commands: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Runs a script of a node with its folders under `root`, and these commands in its PATH."""
    for folder in ("/etc/", "/run/", "/var/lib/", "/usr/local/sbin/"):
        script = script.replace(folder, f"{root}{folder}")
        _at(root, folder).mkdir(parents=True, exist_ok=True)
    (root / "etc/systemd/system").mkdir(parents=True, exist_ok=True)
    programs = root / "bin"
    programs.mkdir(exist_ok=True)
    for name, body in commands.items():
        (programs / name).write_text(f"#!/bin/bash\n{body}\n")
        (programs / name).chmod(0o755)
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "STATE": str(root)}
    return subprocess.run(
        ["bash", "-c", script], env=environment, capture_output=True, text=True, check=False
    )


NVIDIA_SMI = """
echo "$*" >>$STATE/asked
case "$*" in
  -L) echo 'GPU 0: NVIDIA'; [[ ! -e $STATE/slices ]] || echo '  MIG 1g.10gb Device 0: (UUID: MIG-1)' ;;
  '-mig 1') touch $STATE/$ON_SETTING ;;
  --query-gpu=*) [[ -e $STATE/enabled ]] && echo Enabled || echo Disabled ;;
  'mig -cgi '*) touch $STATE/slices ;;
esac
"""
SYSTEMCTL = 'echo "$*" >>$STATE/services\n[[ $1 != reboot ]] || touch $STATE/restarted'


class Machine:
    """A machine whose GPUs take up MIG mode at once, or at its next start as an A100 does."""

    def __init__(self, root: Path, *, at_once: bool) -> None:
        self.root = root
        effect = "enabled" if at_once else "pending"
        self.commands = {
            "nvidia-smi": NVIDIA_SMI.replace("$ON_SETTING", effect),
            "systemctl": SYSTEMCTL,
        }

    def install(self) -> None:
        text = gpu(nodes(sharing="mig", migProfile="1g.10gb"), SETTINGS)
        (script,) = [content for kind, content in parts(text) if "shell" in kind]
        done = _run(script, self.root, self.commands)
        assert done.returncode == 0, done.stderr

    def start(self) -> "subprocess.CompletedProcess[str]":
        program = _at(self.root, "/usr/local/sbin/strata-mig")
        return subprocess.run(
            ["bash", str(program)],
            env={
                "PATH": f"{self.root}/bin:{os.environ['PATH']}",
                "STATE": str(self.root),
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def has(self, path: str) -> bool:
        return _at(self.root, path).exists()

    def restart(self) -> None:
        """What lies in /run, and slices, do not outlive it; a mode that was set takes effect."""
        for one in ("slices", "restarted", MIG_CONFIG):
            _at(self.root, one).unlink(missing_ok=True)
        if self.has("pending"):
            _at(self.root, "pending").rename(_at(self.root, "enabled"))

    def asked(self) -> list[str]:
        return _at(self.root, "asked").read_text().splitlines()


def test_slices_are_cut_at_every_boot(tmp_path: Path) -> None:
    machine = Machine(tmp_path, at_once=True)
    machine.install()
    services = (tmp_path / "services").read_text().splitlines()
    assert services[-1] == "start --no-block strata-mig.service"
    assert "enable strata-mig.service" in services
    for _ in range(2):
        machine.restart()
        assert not machine.has(MIG_CONFIG)
        assert machine.start().returncode == 0
        assert machine.has("slices")
        assert yaml.safe_load(_at(tmp_path, MIG_CONFIG).read_text()) == {
            "version": "v1",
            "flags": {"migStrategy": "mixed"},
        }
        assert not machine.has("restarted")
    cut = "mig -cgi 1g.10gb,1g.10gb,1g.10gb,1g.10gb,1g.10gb,1g.10gb,1g.10gb -C"
    assert machine.asked().count(cut) == 2


def test_slices_that_are_there_are_left_alone(tmp_path: Path) -> None:
    machine = Machine(tmp_path, at_once=True)
    machine.install()
    assert machine.start().returncode == 0
    assert machine.start().returncode == 0
    assert len([one for one in machine.asked() if one.startswith("mig -cgi")]) == 1


def test_an_a100_restarts_once_before_it_is_cut(tmp_path: Path) -> None:
    machine = Machine(tmp_path, at_once=False)
    machine.install()
    assert machine.start().returncode == 0
    assert machine.has("restarted")
    # The device plugin would offer whole GPUs now.
    assert not machine.has(MIG_CONFIG)
    machine.restart()
    assert machine.start().returncode == 0
    assert machine.has("slices")
    assert machine.has(MIG_CONFIG)
    assert not machine.has("restarted")


def test_a_gpu_that_never_takes_up_the_mode_does_not_restart_for_ever(tmp_path: Path) -> None:
    machine = Machine(tmp_path, at_once=False)
    machine.install()
    machine.start()
    _at(tmp_path, "pending").unlink()
    machine.restart()
    failed = machine.start()
    assert failed.returncode != 0
    assert "still off after a restart" in failed.stderr
    assert not machine.has("restarted")
    assert not machine.has(MIG_CONFIG)


def bottlerocket(**changes: Any) -> dict[str, Any]:
    settings: dict[str, Any] = tomllib.loads(gpu(nodes(image="bottlerocket", **changes), SETTINGS))
    return dict(settings["settings"])


def test_bottlerocket_is_told_the_same() -> None:
    settings = bottlerocket()
    assert settings["kubernetes"] == {
        "container-log-max-size": "20Mi",
        "container-log-max-files": 5,
        "pod-pids-limit": 8192,
    }
    assert settings["container-runtime"]["snapshotter"] == "soci"
    assert settings["bootstrap-commands"]["instance-storage"]["commands"][0] == [
        "apiclient",
        "ephemeral-storage",
        "init",
    ]
    assert "kubelet-device-plugins" not in settings


def test_bottlerocket_shares_gpus_itself() -> None:
    turns = bottlerocket(sharing="time-slicing", timeSlices=4)["kubelet-device-plugins"]["nvidia"]
    assert turns == {
        "device-sharing-strategy": "time-slicing",
        "time-slicing": {
            "replicas": 4,
            "rename-by-default": True,
            "fail-requests-greater-than-one": True,
        },
    }
    slices = bottlerocket(
        sharing="mig", migProfile="1g.10gb", instanceTypes=["p5.48xlarge", "p4de.24xlarge"]
    )["kubelet-device-plugins"]["nvidia"]
    assert slices == {
        "device-partitioning-strategy": "mig",
        "mig": {"profile": {"h100.80gb": "1g.10gb", "a100.80gb": "1g.10gb"}},
    }


def test_layouts_fill_a_gpu() -> None:
    assert gpu_sharing.mig_layout(nodes(migProfile="3g.40gb")) == "3g.40gb,3g.40gb"
    assert gpu_sharing.mig_layout(nodes(migProfile="7g.80gb")) == "7g.80gb"
