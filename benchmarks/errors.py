"""What a person is told when a measurement cannot be made."""


class BenchError(Exception):
    """A message for a person: what failed, where, and what to do."""
