"""`python -m strata` is the command `strata`."""

from strata.cli import app

app(prog_name="strata")
