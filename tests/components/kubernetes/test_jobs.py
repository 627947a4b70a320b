"""What a job becomes: run once and waited for, or by a schedule."""

from strata.model import File, Secret
from strata.stack import Stack
from tests.components.example import application
from tests.components.kubernetes.example import composed_job, job
from tests.components.kubernetes.stack import compose


def test_each_try_has_its_time_and_all_together_have_a_bound() -> None:
    recorded = composed_job(retries=2, timeout_seconds=60).recorded
    spec = recorded.inputs["Job", "job"]["spec"]
    pod = recorded.pod("job")
    assert spec["backoffLimit"] == 2
    assert pod["restartPolicy"] == "Never"
    assert pod["activeDeadlineSeconds"] == 60
    # Three tries, each with a node to come, and the pauses in between.
    assert spec["activeDeadlineSeconds"] == 3 * (60 + 300) + 10 + 20
    assert recorded.timeouts["Job", "job"] == f"{int(spec['activeDeadlineSeconds']) + 300}s"


def test_one_that_failed_is_run_again_and_one_that_ended_stays() -> None:
    made = composed_job().recorded.inputs["Job", "job"]
    assert made["metadata"]["annotations"] == {"pulumi.com/replaceUnready": "true"}
    assert "ttlSecondsAfterFinished" not in made["spec"]


def test_a_schedule_is_in_utc_and_never_twice_at_a_time() -> None:
    recorded = composed_job(schedule="0 3 * * *").recorded
    assert recorded.of("Job") == {}
    spec = recorded.inputs["CronJob", "job"]["spec"]
    assert spec["schedule"] == "0 3 * * *"
    assert spec["timeZone"] == "Etc/UTC"
    assert spec["concurrencyPolicy"] == "Forbid"
    assert recorded.container("job")["args"] == ["python3", "-m", "apps.migrate"]


def test_its_pods_are_hardened_and_have_no_probe() -> None:
    recorded = composed_job().recorded
    container = recorded.container("job")
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert {"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"} in container["env"]
    assert not [name for name in container if name.endswith("Probe")]
    assert recorded.pod("job")["serviceAccountName"] == "job"


def test_a_service_waits_for_its_job_and_the_job_for_its_servers() -> None:
    def describe(stack: Stack) -> None:
        server = application(stack, "server")
        job(stack, calls={"SERVER_URL": server.endpoint()})
        application(stack, "client", server.endpoint(), after=("job",))

    recorded = compose(describe).recorded
    assert ("Job", "job") in recorded.dependencies["Deployment", "client"]
    assert ("Deployment", "server") in recorded.dependencies["Job", "job"]


def test_another_secret_is_another_pod_so_it_runs_again() -> None:
    files = (File(path="/run/secrets/password", content=Secret("db")),)

    def named(generation: int) -> str:
        recorded = compose(
            lambda stack: _job(stack, files), generations={"db": generation}
        ).recorded
        (volume,) = [one for one in recorded.pod("job")["volumes"] if "secret" in one]
        return str(volume["secret"]["secretName"])

    assert named(1) != named(2)


def _job(stack: Stack, files: tuple[File, ...]) -> None:
    job(stack, files=files)
