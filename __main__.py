"""The program: settings -> system -> components -> stack -> platform -> resources -> outputs."""

import systems
from strata.stack import open_stack

with open_stack() as stack:
    systems.find(stack.settings.system)(stack)
