"""The program: settings -> system -> components -> platform -> resources -> outputs."""

import atexit
import gc

import pulumi
from pulumi.runtime.config import CONFIG

import systems
from strata import config
from strata.errors import StrataError
from strata.platforms import choose
from strata.platforms.platform import fail


def main() -> None:
    # A run lives for seconds, and what it makes it keeps: looking for garbage, all along and once
    # more at the end, would take a third of the processor time of the program (docs/performance.md).
    gc.disable()
    atexit.register(gc.freeze)
    settings = config.load(CONFIG.get(), pulumi.get_project())
    compose = systems.find(settings.system)
    platform = choose(settings, pulumi.get_project(), pulumi.get_stack())
    compose(platform, settings)
    for name, value in platform.deploy().outputs.items():
        pulumi.export(name, value)


try:
    main()
except StrataError as error:
    # What a person reads is the list, not the lines of the program that found it.
    fail(error)
