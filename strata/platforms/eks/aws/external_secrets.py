"""Reads secrets from AWS Secrets Manager when a stack is planned.

The program reads them, with the credentials of whoever runs `pulumi`, rather than the pods: a new value
then replaces the pods that use it, in start order, and a file can have other text around it. As every
other secret of a stack, the value is encrypted in the state and in the cluster's Secret.
"""

import json
from collections.abc import Callable
from typing import Any

import pulumi
from botocore.exceptions import BotoCoreError, ClientError

from strata.config.secrets import ExternalSecretSettings, ReadAws
from strata.model import Problem
from strata.platforms.eks.aws.provider import has_credentials


def reader(region: str, client: Callable[[str], Any] | None = None) -> ReadAws:
    """Reads secrets of a region. `client` creates boto3's client for a region."""

    def read(path: str, secret: ExternalSecretSettings) -> str | Problem:
        if pulumi.runtime.is_dry_run() and not has_credentials():
            pulumi.log.warn(
                f"{path}: not read, because this preview has no AWS credentials; the files that"
                " contain it are shown as changed"
            )
            return ""
        try:
            answer = (client or _client)(region).get_secret_value(SecretId=secret.aws_secret)
        except (BotoCoreError, ClientError) as error:
            return Problem(
                f"{path}.awsSecret",
                f"can't read {secret.aws_secret} in {region}: {error}",
                "correct the name, or allow the credentials of this machine"
                " secretsmanager:GetSecretValue",
            )
        if "SecretString" not in answer:
            message = f"{secret.aws_secret} is binary, and files are text"
            return Problem(f"{path}.awsSecret", message, "store it as text, for example in Base64")
        text: str = answer["SecretString"]
        return text if secret.key is None else _value(f"{path}.key", secret, text)

    return read


def _client(region: str) -> Any:
    # Imported late: importing boto3 takes longer than the rest of the program.
    import boto3

    return boto3.client("secretsmanager", region_name=region)


def _value(path: str, secret: ExternalSecretSettings, text: str) -> str | Problem:
    """One value of a secret that is a JSON object."""
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        return Problem(path, f"{secret.aws_secret} is not a JSON object", "remove the key")
    if secret.key not in values:
        known = ", ".join(sorted(values))
        return Problem(path, f"{secret.aws_secret} has no such key", f"use one of: {known}")
    value = values[secret.key]
    return value if isinstance(value, str) else json.dumps(value)
