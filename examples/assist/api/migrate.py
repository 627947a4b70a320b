"""Creates the tables."""

from database import connect

with connect() as connection:
    connection.execute(
        "CREATE TABLE IF NOT EXISTS answers (question text NOT NULL, answer text NOT NULL)"
    )
