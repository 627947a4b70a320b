"""The environment of the inference service."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from apps.common.settings import ListenSettings


class InferenceSettings(ListenSettings):
    """`device`: what to run on; auto takes CUDA where it works. `expect_device`: what /health
    insists on, empty for nothing. `model_cache`: a folder that keeps the model as it was optimized for the
    device, so that it loads faster at the next start. `threads`: 0 means as many as the CPU limit allows.
    `batch_wait_ms`: how long the first text of a batch waits for company. `queue_max`: texts that
    may wait before new ones are turned away with 503."""

    model_directory: Path = Path("/opt/model")
    model_cache: Path | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    expect_device: Literal["", "cpu", "cuda"] = ""
    threads: int = Field(default=0, ge=0, le=256)
    batch_max: int = Field(default=32, ge=1, le=1024)
    batch_wait_ms: float = Field(default=2.0, ge=0, le=1000)
    queue_max: int = Field(default=1024, ge=1)
    tokens_max: int = Field(default=256, ge=8, le=512)
    model_config = SettingsConfigDict(protected_namespaces=())
