"""The database that Strata connects the container to."""

import os
from pathlib import Path

import psycopg


def connect() -> psycopg.Connection:
    return psycopg.connect(
        host=os.environ["DATABASE_HOST"],
        port=os.environ["DATABASE_PORT"],
        user=os.environ["DATABASE_USER"],
        dbname=os.environ["DATABASE_NAME"],
        password=Path(os.environ["DATABASE_PASSWORD_FILE"]).read_text(),
        sslmode="verify-full",
        sslrootcert=os.environ["DATABASE_CA_FILE"],
    )
