"""The configuration of pgAdmin, which reads it from /etc/pgadmin (pgAdmin documentation, "The config.py File")."""

import logging

SERVER_MODE = True
DATA_DIR = "/tmp/pgadmin"  # noqa: S108 - a folder in the container
SQLITE_PATH = f"{DATA_DIR}/pgadmin4.db"
SESSION_DB_PATH = f"{DATA_DIR}/sessions"
STORAGE_DIR = f"{DATA_DIR}/storage"
KERBEROS_CCACHE_DIR = f"{DATA_DIR}/kerberos"
AZURE_CREDENTIAL_CACHE_DIR = f"{DATA_DIR}/azure"
# Docker keeps the log of the console.
LOG_FILE = "/dev/null"
CONSOLE_LOG_LEVEL = logging.WARNING
# It has no access to the internet.
UPGRADE_CHECK_ENABLED = False
# The database of pgAdmin, which ends with the container, keeps no passwords.
ALLOW_SAVE_PASSWORD = False
MASTER_PASSWORD_REQUIRED = False
