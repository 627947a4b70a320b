"""Amazon MQ: brokers."""

from tests.aws.adapters.registry import makes, paged
from tests.aws.errors import RefusedError
from tests.aws.resource import Made, Resource

_PASSWORD_CHARACTERS = 12


@makes(
    "aws:mq/broker:Broker",
    service="mq",
    lists=lambda client: [
        one["BrokerId"] for one in paged(client("mq"), "list_brokers", "BrokerSummaries")
    ],
)
def broker(resource: Resource) -> Made:
    mq = resource.client("mq")
    request = resource.fill("mq", "CreateBroker")
    # AWS accepts any case and answers with this one, which Terraform's documentation has. Its model has the
    # upper case only.
    if request["EngineType"] != "RabbitMQ":
        raise RefusedError(f"{resource.name}: AWS would call its engine RabbitMQ")
    request["EngineType"] = "RABBITMQ"
    _check(resource.name, request)
    made = mq.create_broker(**request)
    there = mq.describe_broker(BrokerId=made["BrokerId"])
    return Made(
        id=made["BrokerId"],
        outputs={
            "arn": made["BrokerArn"],
            "instances": [
                {"consoleUrl": one["ConsoleURL"], "endpoints": one["Endpoints"]}
                for one in there["BrokerInstances"]
            ],
        },
        delete=lambda: mq.delete_broker(BrokerId=made["BrokerId"]),
    )


def _check(name: str, request: dict[str, object]) -> None:
    """https://docs.aws.amazon.com/amazon-mq/latest/api-reference/brokers.html, which moto doesn't check."""
    users = request["Users"]
    assert isinstance(users, list)
    if len(users) != 1:
        raise RefusedError(f"{name}: RabbitMQ is created with one user")
    password = users[0]["Password"]
    if len(password) < _PASSWORD_CHARACTERS or set(password) & set(",:="):
        raise RefusedError(f"{name}: AWS rejects the password of {users[0]['Username']}")
