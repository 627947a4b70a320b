"""Sends requests to the HTTP API of a managed service, as its administrator.

`http_set_up.py` describes the job that runs this file, in a container without any other of ours.
"""

import base64
import json
import os
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path

TIMEOUT_SECONDS = 30
UNAUTHORIZED = 401


def authorization(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def main() -> None:
    """Sends each request, with the first password that the service accepts. Ends with 1 at the first
    request that fails."""
    url, user = os.environ["URL"], os.environ["ADMINISTRATOR"]
    context = ssl.create_default_context(cafile=os.environ["CA_FILE"])
    passwords = Path(os.environ["PASSWORDS_FILE"]).read_text().splitlines()
    for each in json.loads(Path(os.environ["REQUESTS_FILE"]).read_text()):
        request = urllib.request.Request(  # noqa: S310 - the URL is ours, and https
            url + each["path"], json.dumps(each["body"]).encode(), method=each["method"]
        )
        request.add_header("Content-Type", "application/json")
        title = f"{each['method']} {each['path']}"
        while True:
            request.add_header("Authorization", authorization(user, passwords[0]))
            try:
                with urllib.request.urlopen(  # noqa: S310
                    request, timeout=TIMEOUT_SECONDS, context=context
                ) as response:
                    print(f"{title}: {response.status}")
                break
            except urllib.error.HTTPError as error:
                if error.code == UNAUTHORIZED and len(passwords) > 1:
                    passwords.pop(0)
                    continue
                sys.exit(f"{title}: {error.code} {error.read(1000).decode(errors='replace')}")
            except OSError as error:
                sys.exit(f"{title}: {error}")


if __name__ == "__main__":
    main()
