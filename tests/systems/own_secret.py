"""A service with a secret of the user's own."""

import pulumi

from strata.components import AppService, AppServiceArgs
from strata.model import File
from strata.stack import Stack

from .parts import SMALL


def compose(stack: Stack) -> None:
    token = pulumi.Config("app").require_secret("token")
    AppService(
        "app",
        AppServiceArgs(
            stack=stack,
            image="probe-server",
            resources=SMALL,
            files=(File(path="/run/secrets/app.conf", content=("token = ", token, "\n")),),
        ),
    )
