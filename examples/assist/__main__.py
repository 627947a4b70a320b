"""An API that answers questions with a language model of its own."""

import pulumi

from strata.components import (
    AppJob,
    AppJobArgs,
    AppService,
    AppServiceArgs,
    Datastore,
    DatastoreArgs,
    Gateway,
    GatewayArgs,
    GpuService,
    GpuServiceArgs,
    ObservabilityStack,
    ObservabilityStackArgs,
    Route,
)
from strata.components.engines.postgres import POSTGRES
from strata.model import File, Gpu, HttpProbe, Probe, Resources, Tmpfs, Volume
from strata.stack import open_stack

# vLLM 0.11.0
VLLM = (
    "docker.io/vllm/vllm-openai"
    "@sha256:014a95f21c9edf6abe0aea6b07353f96baa4ec291c427bb1176dc7c93a85845c"
)
MODEL = "meta-llama/Llama-3.1-8B-Instruct"

with open_stack() as stack:
    ObservabilityStack("observability", ObservabilityStackArgs(stack=stack))
    postgres = Datastore("postgres", DatastoreArgs(stack=stack, engine=POSTGRES))
    AppJob(
        "migrate",
        AppJobArgs(
            stack=stack,
            image="./api",
            command=("python3", "migrate.py"),
            resources=Resources(memory_mib=128, cpu=0.5),
            connections={"DATABASE": postgres.connection},
        ),
    )
    model = GpuService(
        "model",
        GpuServiceArgs(
            stack=stack,
            image="./model",
            gpu=Gpu(image=VLLM, **dict(stack.settings.gpu)),
            command=("--model", MODEL, "--served-model-name", "assist", "--max-model-len", "8192"),
            resources=Resources(memory_mib=256, cpu=0.5),
            probe=Probe(check=HttpProbe(port=8000), ready_within_seconds=1800),
            honours_listen=False,
            egress=True,
            files=(
                File(
                    path="/run/secrets/hf-token",
                    content=pulumi.Config().require_secret("hfToken"),
                ),
            ),
            environment={
                "HF_HOME": "/models",
                "HF_TOKEN_PATH": "/run/secrets/hf-token",
                "HOME": "/tmp",  # noqa: S108 - a tmpfs
                "USER": "model",
            },
            volumes=(Volume(name="models", path="/models", size_gib=50, cache=True),),
            tmpfs=(Tmpfs(path="/tmp", size_mib=128, executable=True),),  # noqa: S108
        ),
    )
    api = AppService(
        "api",
        AppServiceArgs(
            stack=stack,
            image="./api",
            resources=Resources(memory_mib=256, cpu=0.5),
            connections={"DATABASE": postgres.connection},
            calls={"MODEL_URL": model.endpoint()},
            after=("migrate",),
        ),
    )
    Gateway(
        "gateway",
        GatewayArgs(
            stack=stack,
            http=stack.settings.ports.http,
            https=stack.settings.ports.https,
            routes=(Route(path="/*", endpoint=api.endpoint()),),
        ),
    )
