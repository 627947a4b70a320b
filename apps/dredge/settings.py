"""The environment of dredge's programs."""

from pydantic import Field
from pydantic_settings import BaseSettings

from apps.common.settings import ListenSettings, RedisSettings
from apps.inference.settings import InferenceSettings


class ToolSettings(BaseSettings):
    """Where the MCP server is."""

    mcp_url: str = "http://mcp:3002"


class ServerSettings(ListenSettings, RedisSettings, ToolSettings):
    """`cache_enabled`: whether results of searches are cached, for `cache_seconds`."""

    cache_enabled: bool = True
    cache_seconds: int = Field(default=300, ge=1)


class WorkerSettings(ListenSettings, RedisSettings, ToolSettings):
    """`worker_concurrency`: how many texts a worker has at once. `claim_after_s`: a text that a worker
    has had for this long, in seconds, is taken by another."""

    worker_concurrency: int = Field(default=4, ge=1, le=64)
    claim_after_s: float = Field(default=60.0, gt=0)


class McpSettings(InferenceSettings, RedisSettings):
    """The model's settings, and Redis."""
