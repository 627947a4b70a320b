"""The base class of all settings."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class BaseSettings(BaseModel):
    """Uses the camelCase keys of Pulumi.<stack>.yaml and rejects unknown keys."""

    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", frozen=True, hide_input_in_errors=True
    )
