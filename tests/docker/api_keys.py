"""What a gateway with clients does, whatever its engine: checks for tests/docker/test_fields.py (NGINX) and
tests/docker/test_traefik.py. The routes are those of tests/systems/parts.py."""

import json
from collections.abc import Mapping
from typing import Any

import httpx

from tests.project import Project

OWN_KEY = "own-key-" + "0123456789" * 3
SETTINGS: Mapping[str, Any] = {"ci": {}, "mobile": {}, "partner": {"keys": [OWN_KEY]}}


def key(gateway: Any, client: str) -> str:
    """The key of a client, as a person reads it."""
    status, output = gateway.exec_run(["cat", f"/run/secrets/client-{client}"])
    assert status == 0, output
    return str(output.decode())


def bearer(value: str) -> dict[str, str]:
    return {"authorization": f"Bearer {value}"}


def check_who_may_use_it(client: httpx.Client, gateway: Any) -> None:
    own = key(gateway, "ci")
    for credentials in ({"headers": bearer(own)}, {"auth": ("ci", own)}):
        answer = client.get("/keys/headers", **credentials)
        assert (answer.status_code, answer.json()["x-client-name"]) == (200, "ci")
        assert "authorization" not in answer.json(), "the key is for the gateway alone"
    answer = client.get("/keys/headers", headers=bearer(OWN_KEY))
    assert answer.json()["x-client-name"] == "partner"
    for wrong in (
        {},
        bearer(own[:-1]),
        bearer(f"{own}x"),
        {"authorization": own},
        {"authorization": "Bearer"},
    ):
        answer = client.get("/keys/headers", headers=wrong)
        assert answer.status_code == 401, wrong
        assert answer.headers["www-authenticate"] == 'Bearer realm="gateway", Basic realm="gateway"'
        assert answer.headers["x-content-type-options"] == "nosniff"
    for auth in (("mobile", own), ("ci", ""), ("", own)):
        assert client.get("/keys", auth=auth).status_code == 401, "the key of another client"
    assert client.get("/nothing").status_code == 404


def check_names_cannot_be_forged(client: httpx.Client, gateway: Any) -> None:
    forged = {"X-Client-Name": "root", "X_Client_Name": "root", "X-Client_Name": "root"}
    own = bearer(key(gateway, "ci"))
    # By HTTP/1.1, `Connection` names headers that a proxy removes.
    answer = client.get("/keys/headers", headers={**forged, **own, "Connection": "X-Client-Name"})
    named = {name: value for name, value in answer.json().items() if "client" in name}
    assert named == {"x-client-name": "ci"}
    anybody = client.get("/headers", headers=forged).json()
    assert [name for name in anybody if "client" in name] == []
    assert client.get("/headers", headers=own).json()["x-client-name"] == "ci"
    assert "authorization" not in client.get("/headers", headers=own).json()
    other = {"authorization": "Bearer of the service"}
    assert client.get("/headers", headers=other).json()["authorization"] == other["authorization"]


def check_limits_count_each_client(client: httpx.Client, gateway: Any) -> None:
    own, other = (bearer(key(gateway, each)) for each in ("ci", "mobile"))
    answers = [client.get("/keys/rare", headers=own).status_code for _ in range(8)]
    assert set(answers) == {200, 429}, "one a second and one more at once are allowed"
    assert client.get("/keys/rare", headers=other).status_code == 200


def check_no_key_is_shown(project: Project, gateway: Any) -> None:
    """Run after requests with keys were logged."""
    shown = {
        "the logs": gateway.logs().decode(),
        "docker inspect": json.dumps(gateway.attrs),
        "the state": project.state_text(),
        "the processes": json.dumps(gateway.top(ps_args="-eo pid,args")),
    }
    assert '"ci"' in shown["the logs"]
    assert '"root"' not in shown["the logs"]
    for secret in (key(gateway, "ci"), key(gateway, "mobile")):
        assert [place for place, text in shown.items() if secret in text] == []
    # The settings of the test have it in plaintext, and so has Pulumi's history of them.
    del shown["the state"]
    assert [place for place, text in shown.items() if OWN_KEY in text] == []
