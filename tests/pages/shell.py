"""Splits a shell script into its commands."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

OPERATORS = ";()<>|&\n"
CRONTAB = re.compile(r"^[\d*,/-]+(?: [\d*,/-]+){4} +", re.MULTILINE)
"""The five fields of a line of a crontab."""
ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)


@dataclass
class Command:
    """A program with its arguments. `variables` are set for it alone; `writes` are the files that its output
    goes to."""

    words: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)

    @property
    def program(self) -> str:
        return self.words[0]

    @property
    def arguments(self) -> list[str]:
        """Those before an ellipsis."""
        rest = self.words[1:]
        return rest[: rest.index("...")] if "..." in rest else rest


def commands(script: str) -> Iterator[Command]:
    """Yields the commands of a script, those of `$(...)` and subshells too."""
    script = re.sub(r"\\\n\s*", " ", script)
    script = re.sub(r"(^|(?<=\s))#.*$", "", script, flags=re.MULTILINE)
    script = CRONTAB.sub("", script)
    lexer = shlex.shlex(script, posix=True, punctuation_chars=OPERATORS)
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t", True, ""
    command, redirected = Command(), ""
    for token in lexer:
        if token and set(token) <= set(OPERATORS):
            if set(token) & set("<>") and "(" not in token:
                redirected = token
                if command.words and command.words[-1].isdigit():  # 2> or 3<>
                    command.words.pop()
                continue
            if command.words:
                yield command
            command, redirected = Command(), ""
        elif redirected:
            command.writes += [token] if ">" in redirected and "&" not in redirected else []
            redirected = ""
        elif not command.words and (assigned := ASSIGNMENT.fullmatch(token)):
            command.variables[assigned[1]] = assigned[2]
        elif token != "$":
            command.words.append(token)
            for inner in re.findall(r"\$\(([^()]+)\)", token):
                yield from commands(inner)
    if command.words:
        yield command
