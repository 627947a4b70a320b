"""pgAdmin, which project88 has only with a profile of its own."""

import systems
from strata.config import Settings
from tests.components.stack import Composed, compose


def composed(*profiles: str) -> Composed:
    settings = Settings.model_validate({"profiles": profiles})
    return compose(systems.find("project88"), settings=settings)


def route(stack: Composed) -> bool:
    """Whether the gateway leads to pgAdmin."""
    return any("location /pgadmin/ {" in content for content in stack.recorded.files.values())


def test_pgadmin_is_there_only_on_demand() -> None:
    for profiles, is_there in (((), False), (("development",), False), (("pgadmin",), True)):
        stack = composed(*profiles)
        assert ("pgadmin-1" in stack.recorded.inputs, route(stack)) == (is_there, is_there)


def test_pgadmin_reaches_the_database_and_is_reached_by_the_gateway_alone() -> None:
    stack = composed("pgadmin")
    links = {
        (link["client"], link["server"], int(link["port"]))
        for link in stack.outputs["links"]
        if "pgadmin" in (link["client"], link["server"])
    }
    assert links == {("gateway", "pgadmin", 5050), ("pgadmin", "db", 5432)}
    container = stack.recorded.service("pgadmin")
    assert "ports" not in container
    assert {port["ip"] for port in stack.recorded.service("gateway")["ports"]} == {"127.0.0.1"}


def test_the_passwords_of_pgadmin_are_secrets_of_the_stack() -> None:
    stack = composed("pgadmin")
    prefix = "/pgadmin-run-secrets/"
    files = {
        path.removeprefix(prefix): content
        for path, content in stack.recorded.files.items()
        if path.startswith(prefix)
    }
    # The certificates are for PostgreSQL, which accepts only clients that have one.
    assert files.keys() == {
        *("pgadmin-password", "database-password", "database-ca.pem"),
        *("ca.pem", "client-certificate.pem", "private-key.pem"),
    }
    passwords = {files["pgadmin-password"], files["database-password"]}
    assert len(passwords) == 2
    container = str(stack.recorded.service("pgadmin"))
    assert not [password for password in passwords if password in container]
