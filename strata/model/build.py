"""An image that is built from a folder of the user."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, urlencode

_ARGUMENT = re.compile(r"argument\.([A-Za-z_]\w*)", re.ASCII)
_SECRET = re.compile(r"secret\.([\w.-]+)\.(environment|file)", re.ASCII)
_CREDENTIAL = re.compile(
    r"PASSWORD|PASSWD|PASSPHRASE|SECRET|CREDENTIAL|(API|PRIVATE|ACCESS|SIGNING|ENCRYPTION)_?KEY"
    r"|TOKEN$|(^|_)(TOKEN|AUTH|PASS)(_|$)",
    re.IGNORECASE,
)
_NO_CREDENTIAL = re.compile(r"_(FILE|PATH|URL|NAME)$", re.IGNORECASE)
URL_PASSWORD = re.compile(r"\w+://[^/@\s]*:[^/@\s]+@")


@dataclass(frozen=True, kw_only=True)
class BuildSecret:
    """Where the machine that builds an image has a secret: in a variable of the environment, or in a file,
    whose path is relative to the program. Set one of them."""

    environment: str | None = None
    file: str | None = None


@dataclass(frozen=True)
class Build:
    """An image that BuildKit builds from `folder`, which has a Dockerfile and is relative to the
    program: `Build("./model", target="cuda")`.

    `target`: the stage to build; None: the last one. `arguments`: the values of ARGs. They can be read in
    the image's history, so they must not be credentials. `secrets`: the files that `RUN
    --mount=type=secret,id=NAME` mounts, by NAME. They are read when the image is built, and their values are
    in nothing that remains. Another value doesn't build an image again.

    Settings, commands and labels have it as a string: `./model?target=cuda&argument.PYTHON=3.13`.
    """

    folder: str
    target: str | None = field(default=None, kw_only=True)
    arguments: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    secrets: Mapping[str, BuildSecret] = field(default_factory=dict, kw_only=True)

    @classmethod
    def parse(cls, text: str) -> "Build":
        """The build that a string describes. Raises `ValueError` for an unknown option."""
        folder, separator, query = text.rpartition("?")
        if not separator or "/" in query:  # `?` can be part of a folder's name.
            return cls(text)
        target: str | None = None
        arguments: dict[str, str] = {}
        secrets: dict[str, BuildSecret] = {}
        for key, value in parse_qsl(query, keep_blank_values=True):
            if argument := _ARGUMENT.fullmatch(key):
                arguments[argument[1]] = value
            elif secret := _SECRET.fullmatch(key):
                known = secrets.get(secret[1], BuildSecret())
                secrets[secret[1]] = replace(known, **{secret[2]: value})
            elif key == "target":
                target = value
            else:
                raise ValueError(f"{key!r} is not an option of a build")
        return cls(folder, target=target, arguments=arguments, secrets=secrets)

    def __str__(self) -> str:
        is_path = self.folder.startswith(("./", "../", "/"))
        folder = self.folder if is_path else f"./{self.folder}"
        sources = {
            f"secret.{name}.{kind}": value or ""
            for name, secret in sorted(self.secrets.items())
            for kind, value in (("environment", secret.environment), ("file", secret.file))
            # Without a source it is an error, which must not be lost.
            if value is not None or secret == BuildSecret()
        }
        query = "&".join(filter(None, (self.options, urlencode(sources))))
        return f"{folder}?{query}" if query else folder

    @property
    def options(self) -> str:
        """What determines the image besides the folder, as in the string: the target and the arguments.
        Empty if there is neither."""
        options = {"target": self.target} if self.target else {}
        options |= {f"argument.{name}": self.arguments[name] for name in sorted(self.arguments)}
        return urlencode(options)

    @property
    def credentials(self) -> tuple[str, ...]:
        """The arguments that look like credentials."""
        return tuple(
            name
            for name, value in sorted(self.arguments.items())
            if URL_PASSWORD.search(value)
            or (
                value.lower() not in ("", "true", "false")
                and _CREDENTIAL.search(name)
                and not _NO_CREDENTIAL.search(name)
            )
        )
