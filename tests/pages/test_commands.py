"""The code on every page is valid: commands with their options, arguments and settings; the services and files
that they name; parts of settings, programs and JSON.

Nothing is run: tests/package runs the commands of the tutorial, and tests/unit composes the systems.
"""

import ast
import importlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from strata.errors import StrataError
from tests.pages import settings
from tests.pages.markdown import PAGES, Code, code
from tests.pages.programs import CHECKS, IncompleteError, Page, check, check_syntax
from tests.pages.shell import CRONTAB, commands
from tests.project import REPOSITORY

SHELL = ("bash", "console", "sh")
OTHERS = ("dockerfile", "mermaid", "text")
COMMAND = re.compile(r"(?:[a-z.(][\w./-]*)(?: |$)|[A-Z_]+=|\w+=\$")
"""How a command starts, and no other block without a language does."""


def script(block: Code) -> str | None:
    """The commands of a block, less the output that it shows; None if it has none."""
    if block.is_inline:
        program, _, rest = block.text.partition(" ")
        return block.text if program in CHECKS and program != "." and rest else None
    lines = block.text.splitlines()
    if any(line.startswith("$ ") for line in lines):
        return "\n".join(line.removeprefix("$ ") for line in lines if line.startswith("$ "))
    if block.language:
        return block.text if block.language in SHELL else None
    first = next((line for line in lines if line and not line.startswith("#")), "")
    return block.text if COMMAND.match(CRONTAB.sub("", first)) else None


def check_code(block: Code, page: Page) -> None:
    """Fails if the block is wrong, or of an unknown language."""
    text = script(block)
    if text is not None:
        if not block.is_inline:
            check_syntax(CRONTAB.sub("", text))
        for command in commands(text):
            check(command, page)
    elif block.language in ("py", "python"):
        check_python(block.text)
    elif block.language == "json":
        json.loads(block.text)
    elif block.language == "yaml":
        found = settings.of_yaml(block.text)
        wrong = settings.problems(found, list(found))
        assert not wrong, "\n".join(wrong)
    else:
        assert not block.language or block.language in OTHERS, f"unknown language {block.language}"


def check_python(text: str) -> None:
    """It compiles, and what it imports from this repository exists. `python` is a complete program, and `py` a
    part of one."""
    tree = compile(text, "page", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] == "strata":
            module = importlib.import_module(str(node.module))
            for name in node.names:
                assert hasattr(module, name.name), f"{node.module} has no {name.name}"


def failures(blocks: Iterable[Code]) -> Iterator[str]:
    """What is wrong with the code of a page."""
    page = Page()
    for block in blocks:
        try:
            check_code(block, page)
            for stack, paths in page.take().items():
                wrong = settings.problems(page.settings[stack], paths)
                assert not wrong, "\n".join(wrong)
        except (AssertionError, StrataError, SyntaxError, ValueError) as error:
            if not (block.is_inline and isinstance(error, IncompleteError)):
                yield f"{block}: {error}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_the_code_of_a_page_is_valid(page: Path) -> None:
    assert list(failures(code(page))) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_line_that_looks_like_a_command_is_checked(page: Path) -> None:
    lines = re.findall(
        r"^(?: {4,}|\$ )(?:\$ )?((?:docker|kubectl|make|pulumi|strata) [^`|\n]+)$",
        page.read_text(),
        re.MULTILINE,
    )
    found = "\n".join(script(block) or "" for block in code(page))
    assert [line for line in lines if line not in found] == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("make upp", "No rule to make target"),
        ("make test LAYR=unit", "no variable LAYR"),
        ("make lint STACK=prod", "doesn't act on a single stack"),
        ("strata statuss", "no command strata statuss"),
        ("strata status --watchh", "No such option: --watchh"),
        ("strata logs apii", "no system has a service apii"),
        ("strata logs --tail many", "should be a valid integer"),
        ("strata restart", "Missing argument"),
        ("strata status --stack staging", "no stack staging"),
        ("strata images build nothing", "unknown image"),
        ("pulumi upp", "no command upp"),
        ("pulumi stack int test", "no command stack int"),
        ("pulumi up --stak dev", "no option --stak"),
        ("pulumi up --stack", "--stack without its value"),
        (
            "pulumi config set --stack dev --path strata:ports.htp 9080",
            "strata:ports.htp: unknown key",
        ),
        (
            "pulumi config set --stack dev --path strata:ports.http 70000",
            "less than or equal to 65535",
        ),
        ("pulumi config set --stack dev strata:ports.http 9080", "needs --path"),
        (
            "pulumi config set --stack dev --path strata:services.apii.replicas 2",
            "has no such service",
        ),
        ("pulumi config set --stack dev --path strata:services.api.image 4", "valid string"),
        ("docker exc strata-dev-api-1 env", "no command exc"),
        ("docker logs --tial 20 strata-dev-api-1", "no option --tial"),
        ("docker logs strata-dev-apii-1", "no system has a service of strata-dev-apii-1"),
        ("docker logs strata-staging-api-1", "is of none of the stacks"),
        ("docker exec strata-dev-gateway-1 cat /run/secrets/pasword", "isn't a file of gateway"),
        (
            "docker exec strata-dev-api-1 sh -c 'cat $DATABASE_PASWORD_FILE'",
            "no variable DATABASE_PASWORD",
        ),
        ("docker volume rm strata-dev-postgres-dat", "no service has the volume"),
        ("kubectl --namespace strata-staging get pods", "no namespace strata-staging"),
        (
            "kubectl --namespace strata-prod exec deployment/gatewy -- env",
            "no system has a service gatewy",
        ),
        ("aws eks delete-clusters --name strata-prod", "no operation delete-clusters"),
        ("aws eks delete-cluster --cluster strata-prod", "no option --cluster"),
        ("git comit", "no command git comit"),
        ("curl http://127.0.0.1:8079/search", "nothing listens on port 8079"),
        ("pip install 'strata[gcp]'", "gcp"),
        ("python -m benchmarks.nothing", "no module benchmarks.nothing"),
        ("cat docs/nothing.md", "no file docs/nothing.md"),
        ("STRATA_IMAGE=local pulumi up", "nothing reads the variable STRATA_IMAGE"),
        ("terraform apply", "no check of terraform"),
        ("echo 'hello", "unexpected EOF"),
        ("```toml\na = 1\n```", "unknown language toml"),
        ("```py\nfrom strata.model import Gpuu\n```", "strata.model has no Gpuu"),
        ("```yaml\nconfig:\n  strata:gpu: {mod: off}\n```", "strata:gpu.mod: unknown key"),
    ],
)
def test_wrong_code_fails(text: str, message: str) -> None:
    block = text if text.startswith("`") else f"    {text}"
    (failure,) = failures(code(PAGES[0], f"A sentence:\n\n{block}\n"))
    assert message in failure
