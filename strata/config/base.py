"""What all settings share."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class BaseSettings(BaseModel):
    """Keys as in Pulumi.<stack>.yaml; one that is not a setting is a mistake."""

    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", frozen=True, hide_input_in_errors=True
    )
