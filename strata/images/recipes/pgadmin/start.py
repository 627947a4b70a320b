"""Starts pgAdmin with one account, whose only server is the database of the connection DATABASE.

Both are made at each start, from the variables and files of the service: the passwords are always those of the stack,
and nothing of pgAdmin has to be kept.
"""

import json
import os
import sys
from pathlib import Path

# pgAdmin's modules, in its own folder.
import config
import setup
from pgadmin import create_app
from pgadmin.utils import load_database_servers

EMAIL = "strata@example.com"


def main() -> None:
    os.umask(0o077)
    storage = Path(config.STORAGE_DIR, EMAIL.replace("@", "_"))
    storage.mkdir(parents=True)
    server = Path(config.DATA_DIR, "server.json")
    server.write_text(json.dumps({"Servers": {"1": _server(storage)}}))
    password = Path(os.environ["PGADMIN_PASSWORD_FILE"]).read_text()
    # Only in this process: setup.py reads it there, and /proc shows the environment of the start.
    os.environ |= {"PGADMIN_SETUP_EMAIL": EMAIL, "PGADMIN_SETUP_PASSWORD": password}
    application = create_app()
    setup.setup_db(application)
    del os.environ["PGADMIN_SETUP_PASSWORD"]
    with application.test_request_context():
        is_loaded, message = load_database_servers(str(server), None, EMAIL, from_setup=True)
    if not is_loaded:
        sys.exit(f"the server of pgAdmin can't be added: {message}")
    port = os.environ["LISTEN_PORT"]
    binds = [f"--bind={each}:{port}" for each in os.environ["LISTEN_ADDRESSES"].split(",")]
    gunicorn = [
        sys.executable,
        "-m",
        "gunicorn",
        *binds,
        "--worker-tmp-dir=/tmp",
        "--no-control-socket",
    ]
    # A session of pgAdmin is in the memory of one process.
    os.execv(sys.executable, [*gunicorn, "--workers=1", "--threads=8", "pgAdmin4:app"])  # noqa: S606


def _server(storage: Path) -> dict[str, object]:
    """The server as pgAdmin imports it. It looks for the files of a connection in `storage`."""
    host, port, user = (os.environ[f"DATABASE_{name}"] for name in ("HOST", "PORT", "USER"))
    password = Path(os.environ["DATABASE_PASSWORD_FILE"]).read_text()
    (storage / "passfile").write_text(f"{host}:{port}:*:{user}:{password}\n")
    parameters = {"passfile": "/passfile", "connect_timeout": 10}
    for parameter, variable in {
        "sslrootcert": "DATABASE_CA_FILE",
        "sslcert": "DATABASE_CERTIFICATE_FILE",
        "sslkey": "DATABASE_PRIVATE_KEY_FILE",
    }.items():
        if variable in os.environ:
            (storage / parameter).symlink_to(os.environ[variable])
            parameters |= {parameter: f"/{parameter}", "sslmode": "verify-full"}
    return {
        "Name": host,
        "Group": "Stack",
        "Host": host,
        "Port": int(port),
        "MaintenanceDB": os.environ["DATABASE_NAME"],
        "Username": user,
        "ConnectionParameters": parameters,
    }


if __name__ == "__main__":
    main()
