"""The engines of a gateway: each describes the same routes for another program."""
