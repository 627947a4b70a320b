"""What ends a test of this layer."""


class RefusedError(AssertionError):
    """AWS would not take this, or the test does not know how to give it to AWS."""
