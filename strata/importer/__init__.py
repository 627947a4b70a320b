"""Writes a system file from a Compose file: `strata import`.

`compose_file` reads, `translation` decides what each service becomes, `python_source` writes.
"""
