"""The way to Ray: a simulation is a job, whose driver is `apps.jimbot.simulation`.

The nodes' image has this code. See Ray's documentation, "Ray Jobs REST API".
"""

import asyncio
import json
from typing import Any

import httpx2

from apps.common import secret, traces
from apps.common.errors import UnavailableError, describe
from apps.jimbot.settings import RaySettings

NAME = "ray"
WITHIN_S = 5.0
# Most of it is the start of Python processes.
JOB_WITHIN_S = 90.0
POLL_INTERVAL_S = 0.3
# Each job has a driver on the head, of 100 MiB and more.
JOBS_MAX = 2
RUNNING = ("PENDING", "RUNNING")


class Cluster:
    """A client of the jobs of a Ray cluster."""

    def __init__(
        self, settings: RaySettings, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        self._token_file = settings.ray_password_file
        self._client = httpx2.AsyncClient(
            base_url=f"http://{settings.ray_host}:{settings.ray_port}",
            timeout=WITHIN_S,
            transport=transport,
        )
        self._jobs = asyncio.Semaphore(JOBS_MAX)

    async def close(self) -> None:
        await self._client.aclose()

    async def ping(self) -> None:
        """Raises `UnavailableError` unless the head answers, with its store of the cluster's state."""
        await self._send("GET", "/api/gcs_healthz")

    async def share_beaten(self, score: int, size: int, samples: int) -> float:
        """The share of random hands of `size` cards that a score beats. Raises `UnavailableError`."""
        command = f"python3 -m apps.jimbot.simulation {score} {size} {samples}"
        async with self._jobs:
            with traces.span(NAME, "client"):
                output = await self._run(command)
        return float(json.loads(output.splitlines()[-1])["share_beaten"])

    async def _run(self, command: str) -> str:
        """What a job prints."""
        job = (await self._send("POST", "/api/jobs/", json={"entrypoint": command})).json()
        path = f"/api/jobs/{job['submission_id']}"
        try:
            status = await self._finished(path)
            output: str = (await self._send("GET", f"{path}/logs")).json()["logs"]
        except TimeoutError:
            await self._send("POST", f"{path}/stop")
            raise UnavailableError(NAME, f"no result within {JOB_WITHIN_S} s") from None
        await self._send("DELETE", path)
        if status != "SUCCEEDED":
            raise UnavailableError(NAME, f"the job has {status.lower()}: {output.strip()[-200:]}")
        return output

    async def _finished(self, path: str) -> str:
        async with asyncio.timeout(JOB_WITHIN_S):
            while (status := (await self._send("GET", path)).json()["status"]) in RUNNING:
                await asyncio.sleep(POLL_INTERVAL_S)
        return str(status)

    async def _send(self, method: str, path: str, **fields: Any) -> httpx2.Response:
        # Read for every request, so that a rotated token counts.
        headers = {"Authorization": f"Bearer {secret.read(self._token_file)}"}
        try:
            response = await self._client.request(method, path, headers=headers, **fields)
            response.raise_for_status()
        except httpx2.HTTPError as error:
            raise UnavailableError(NAME, describe(error)) from error
        return response
