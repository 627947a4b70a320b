"""The job that sets up a managed service through its HTTP API."""

from pathlib import Path

from strata.components.mutual_tls import CA_FILE, FOLDER
from strata.model import (
    TMP,
    File,
    Job,
    ManagedAuthority,
    ManagedHost,
    Resources,
    Secret,
    Text,
    Zone,
)

SCRIPT = Path(__file__).with_name("send_requests.py")

SCRIPT_FILE = f"{FOLDER}/send_requests.py"
REQUESTS_FILE = f"{FOLDER}/requests.json"
PASSWORDS_FILE = f"{FOLDER}/administrator"


def http_set_up(
    name: str, administrator: str, passwords: tuple[Secret, ...], requests: Text
) -> Job:
    """The job of datastore `name`. `requests`: a JSON list of objects with `method`, `path` and `body`,
    which it sends in order to port 443, whenever one of them changes. `passwords`: of the administrator. It
    logs in with the first one that is accepted."""
    return Job(
        name=name,
        image="python",
        zone=Zone.DATA,
        resources=Resources(memory_mib=64, cpu=0.5),
        command=("python3", "-I", SCRIPT_FILE),
        tmpfs=(TMP,),
        environment={
            "URL": ("https://", ManagedHost(name)),
            "ADMINISTRATOR": administrator,
            "REQUESTS_FILE": REQUESTS_FILE,
            "PASSWORDS_FILE": PASSWORDS_FILE,
            "CA_FILE": CA_FILE,
        },
        files=(
            File(path=SCRIPT_FILE, content=SCRIPT.read_text()),
            File(path=REQUESTS_FILE, content=requests),
            File(
                path=PASSWORDS_FILE,
                content=tuple(part for one in passwords for part in (one, "\n")),
            ),
            File(path=CA_FILE, content=ManagedAuthority(name)),
        ),
        retries=3,
        timeout_seconds=300,
    )
