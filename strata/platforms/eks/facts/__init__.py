"""What Strata knows of AWS in advance: a plan doesn't query AWS, so it needs no credentials."""

import csv
from importlib.resources import files


def rows(table: str) -> list[dict[str, str]]:
    """The rows of a table in this folder, by column."""
    return list(csv.DictReader(files(__name__).joinpath(f"{table}.csv").read_text().splitlines()))
