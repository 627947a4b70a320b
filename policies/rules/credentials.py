"""Recognizes credentials: by the name of a variable, by their form, and in the text of a file."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from strata.policies.rules import facts

PATH_SUFFIXES = ("_FILE", "_PATH")
"""The endings of variables that name the file of a secret."""
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

# The prefixes that GitHub, GitLab, Slack, Hugging Face, OpenAI and Stripe document.
TOKENS = (
    r"gh[oprsu]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{50,}",
    r"gl(?:agent|cbt|dt|ffct|ft|imt|oas|pat|ptt|rt|soat)-[A-Za-z0-9_-]{20,}",
    r"xox[abeoprs]-[0-9][A-Za-z0-9-]{9,}|xapp-[0-9]-[A-Za-z0-9-]{10,}",
    r"hooks\.slack\.com/services/T[A-Z0-9]+/B[A-Z0-9]+/[A-Za-z0-9]{20,}",
    r"hf_[A-Za-z0-9]{34,}",
    r"sk-(?:(?:admin|proj|svcacct)-[A-Za-z0-9_-]{40,}|[A-Za-z0-9]{48})",
    r"[rs]k_(?:live|test)_[A-Za-z0-9]{16,}",
)
FORMS = {
    "private-key": re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"),
    "aws-key": re.compile(r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
    "token": re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(TOKENS)})"),
    "jwt": re.compile(
        r"(?<![A-Za-z0-9])eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"
    ),
}
# An `@` before a digest follows a tag: `docker://name:1.0@sha256:...`.
USER_INFORMATION = re.compile(
    r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]*://[^/\s:@\"'?#]*"
    r":(?P<password>[^/\s@\"'?#]+)@(?!sha256:)"
)
PAIR = re.compile(
    r"""
    (?: ^[ \t]* (?:-[ \t]+)? (?:export[ \t]+)? -{0,2} | [{,][ \t]* )
    (?P<quote>["']?) (?P<name>[A-Za-z_][A-Za-z0-9_.-]*) (?P=quote)
    (?: [ \t]*=[ \t]* | [ \t]*:[ \t]+ | (?<=["']): )
    (?: "(?P<double>(?:[^"\\]|\\.)*)" | '(?P<single>[^']*)' | (?P<plain>[^\s"'#,;][^\s"',;]*) )
    (?= [ \t]*(?:[,;}\]]|$) | [ \t]+\# )
    """,
    re.VERBOSE,
)
"""A name and its value, in a line or in `{...}`: `NAME=VALUE`, `name: value` or `"name": "value"`."""
DEFAULT = re.compile(r"\$\{\w+:?-(.+)\}")
"""A variable with a value to use if it is not set: `${NAME:-VALUE}`."""
REPLACED = re.compile(
    r"""
      \$[A-Z_({].* | .*(?:\$\{|\{\{).* | %[({].* | %\w+%    # variables and templates
    | <.*> | @.+@ | __.+__ | [x*._?-]+                      # <name>, @name@, __name__, ***
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""What a program or a person replaces by the value."""
NO_SECRET = re.compile(
    r"""
      .*\s.*                                                # prose
    | (?:\.{0,2}|~)/.* | [A-Z]:\\.* | [a-z][a-z0-9+.-]*:/.* # a path or a URL
    | (?:change|fill|insert|replace)[_-]?(?:in|it|me|this|with).* | your[_-].*
    | dummy | example | placeholder | redacted | todo
    | true | false | yes | no | on | off | none | null | nil | undefined | ~
    | string | text | required | optional | enabled | disabled
    | [0-9]{1,5}                                            # a count or a duration
    | [|>&*!\[{(].*                                         # YAML: a block, an alias, a list, ...
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
OBJECT_NAME = re.compile(r"[a-z]+(?:-[a-z]+)+")
CODE_SUFFIXES = (".go", ".java", ".js", ".lua", ".mjs", ".php", ".pl", ".py", ".rb", ".ts")


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential in a file: its form, or the name of its value if only that shows what it is.

    Line 0 is the whole content, named by the file.
    """

    line: int
    form: str = ""
    name: str = ""


def is_secret_name(name: str, allowed: Iterable[str] = ()) -> bool:
    """Whether a variable's name suggests that it holds a secret."""
    if name in set(allowed):
        return False
    words = _words(name)
    return any(_is_secret_word(word) for word in words) or any(
        first in facts.SECRET_KEY_WORDS and second in facts.KEY_WORDS
        for first, second in pairwise(words)
    )


def has_url_password(value: str) -> bool:
    """Whether a text has a URL with a password that is not a variable or a placeholder."""
    return any(
        not REPLACED.fullmatch(_default(match["password"]))
        for match in USER_INFORMATION.finditer(value)
    )


def forms(text: str) -> list[str]:
    """The forms of credentials that a text contains."""
    found = [form for form, pattern in FORMS.items() if pattern.search(text)]
    return [*found, "url"] if has_url_password(text) else found


def credentials(file: str, content: str, allowed: Iterable[str] = ()) -> Iterator[Credential]:
    """The credentials in a file. Its name counts too: `db-password` can contain just the password."""
    if is_credential(file.removesuffix(".txt"), content.strip(), allowed):
        yield Credential(0)
    # In code, a value without quotes is an expression. Shells are the exception.
    is_code = file.endswith(CODE_SUFFIXES) or bool(re.match(r"#!(?!.*sh\b)", content))
    for number, line in enumerate(content.splitlines(), 1):
        yield from (Credential(number, form=form) for form in forms(line))
        for pair in PAIR.finditer(line):
            plain = "" if is_code else pair["plain"]
            value = pair["double"] or pair["single"] or plain or ""
            if is_credential(pair["name"], value, allowed):
                yield Credential(number, name=pair["name"])


def is_credential(name: str, value: str, allowed: Iterable[str] = ()) -> bool:
    """Whether a value in a file is a secret by its name alone.

    Files have more names than environments have: `token_lifetime` and `passwordPolicy` hold no secret,
    and `secret: gateway-keys` names an object.
    """
    words = [word for word in _words(name) if not word.isdigit()]
    value = _default(value)
    if not value or not is_secret_name(name, allowed) or not _ends_with_secret(words):
        return False
    if words[-1] in facts.REFERENCE_WORDS and OBJECT_NAME.fullmatch(value):
        return False
    return not (REPLACED.fullmatch(value) or NO_SECRET.fullmatch(value) or forms(value))


def _default(value: str) -> str:
    match = DEFAULT.fullmatch(value)
    return match[1] if match else value


def _words(name: str) -> list[str]:
    return [word.upper() for word in WORD.findall(name)]


def _is_secret_word(word: str) -> bool:
    return word in facts.SECRET_WORDS or word.endswith(facts.SECRET_ENDINGS)


def _ends_with_secret(words: list[str]) -> bool:
    """Whether the last words say what the value is: `db_password`, `api_key`, `secret_key`."""
    if words[-1] in facts.KEY_WORDS:
        return words[-2] in facts.SECRET_KEY_WORDS | facts.SECRET_WORDS
    return _is_secret_word(words[-1])
