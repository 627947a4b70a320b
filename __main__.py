"""The program: settings -> system -> components -> platform -> resources -> outputs."""

import pulumi
from pulumi.runtime.config import CONFIG

import config
import systems
from platforms import choose
from workload import MistakesError


def main() -> None:
    settings = config.load(CONFIG.get(), pulumi.get_project())
    compose = systems.find(settings.system)
    platform = choose(settings, pulumi.get_project(), pulumi.get_stack())
    compose(platform, settings)
    for name, value in platform.deploy().outputs.items():
        pulumi.export(name, value)


try:
    main()
except MistakesError as error:
    # What a person reads is the list, not the lines of the program that found it.
    raise pulumi.RunError(str(error)) from None
