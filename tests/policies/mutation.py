"""Breaks the rules in one place at a time and sees whether a case notices: `python -m
tests.policies.mutation`, with `--survivors` to list what no case notices.

A mutant is a rule with one condition turned round, one ``and`` made ``or``, one bound moved, or one
violation left out. It is put in the place of the function's code, so nothing is imported anew. A
mutant that no case notices is a clause nobody would miss.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import inspect
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from strata.policies.crossguard.rule import Rule
from tests.policies.policy_suites import SUITES
from tests.policies.policy_testing import (
    Case,
    Suite,
    changed,
    findings,
    not_judged,
    told_well,
    violations,
)
from tests.policies.remedy_cases import remedies_hold

SWAPPED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}


@dataclass(frozen=True)
class Mutant:
    """One change to one function."""

    module: types.ModuleType
    function: str
    line: int
    change: str
    code: types.CodeType


class Change(ast.NodeTransformer):
    """Makes the change number ``wanted`` of those that a function allows."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.seen = -1
        self.made: tuple[int, str] | None = None

    def here(self, node: ast.AST, change: str) -> bool:
        self.seen += 1
        if self.seen != self.wanted:
            return False
        self.made = (getattr(node, "lineno", 0), change)
        return True

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        call = node.value
        told = isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)
        if told and call.func.attr in {"violation", "unjudged"} and self.here(node, "left out"):  # type: ignore[attr-defined]
            return ast.copy_location(ast.Pass(), node)
        self.generic_visit(node)
        return node

    def visit_If(self, node: ast.If) -> ast.AST:
        if self.here(node, "condition turned round"):
            node.test = ast.copy_location(ast.UnaryOp(ast.Not(), node.test), node.test)
            return node
        self.generic_visit(node)
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        if self.here(node, "and made or, or made and"):
            node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            return node
        self.generic_visit(node)
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        swapped = SWAPPED.get(type(node.ops[0]))
        if swapped and self.here(node, "comparison moved"):
            node.ops[0] = swapped()
            return node
        self.generic_visit(node)
        return node


def functions(module: types.ModuleType) -> dict[str, types.FunctionType]:
    """The functions that a module defines, those of its rules included."""
    found: dict[str, types.FunctionType] = {}
    for name, value in vars(module).items():
        function = value.function if isinstance(value, Rule) else value
        if isinstance(function, types.FunctionType) and function.__module__ == module.__name__:
            found[name] = function
            if isinstance(value, Rule) and isinstance(value.remedy, types.FunctionType):
                found.setdefault(value.remedy.__name__, value.remedy)
    return found


def code_of(tree: ast.Module, module: types.ModuleType, name: str) -> types.CodeType:
    """The code of one function of a compiled module."""
    compiled = compile(tree, inspect.getfile(module), "exec")
    return next(
        constant
        for constant in compiled.co_consts
        if isinstance(constant, types.CodeType) and constant.co_name == name
    )


def mutants(module: types.ModuleType) -> Iterator[Mutant]:
    """Every mutant of every function of a module."""
    original = ast.parse(inspect.getsource(module))
    known = functions(module)
    for index, node in enumerate(original.body):
        if not isinstance(node, ast.FunctionDef) or node.name not in known:
            continue
        for wanted in range(10_000):
            tree = copy.deepcopy(original)
            change = Change(wanted)
            function = tree.body[index]
            assert isinstance(function, ast.FunctionDef)
            function.decorator_list = []
            function.body = [change.visit(statement) for statement in function.body]
            if change.made is None:
                break
            # Only the function itself is compiled, after the module's own imports of the future.
            small = ast.Module([original.body[1], function], [])
            if not isinstance(original.body[1], ast.ImportFrom):
                small.body = [function]
            ast.fix_missing_locations(small)
            yield Mutant(module, node.name, *change.made, code_of(small, module, node.name))


@contextlib.contextmanager
def in_place(mutant: Mutant) -> Iterator[None]:
    """Runs with the mutant's code."""
    function = functions(mutant.module)[mutant.function]
    original = function.__code__
    function.__code__ = mutant.code
    try:
        yield
    finally:
        function.__code__ = original


def noticed(suite: Suite, rules: tuple[Rule, ...]) -> bool:
    """Whether any case, judged by these rules only, comes out otherwise than it says."""
    slugs = {rule.slug for rule in rules}
    cases = [Case({}), *suite.cases]
    # The cases that name one of the rules first: they are the likeliest to notice.
    cases.sort(key=lambda case: not (named(case) & slugs))
    for case in cases:
        try:
            found = findings(rules, changed(suite.fixture, case.change), case.settings)
        except Exception:
            return True
        wanted = {one for one in case.finds if one.partition("/")[0] in slugs}
        unjudged = {one for one in case.unjudged if one.partition("@")[0] in slugs}
        if violations(found) != wanted or not_judged(found) != unjudged:
            return True
        # What a case says of messages is of its own rules alone.
        if named(case) & slugs and not told_well(found, case):
            return True
    return False


def remedy_noticed(suite: Suite) -> bool:
    """Whether a remedy does otherwise than its cases say."""
    try:
        return not remedies_hold(suite)
    except Exception:
        return True


def named(case: Case) -> set[str]:
    finds = {one.partition("/")[0] for one in case.finds}
    return finds | {one.partition("@")[0] for one in case.unjudged}


def score(say: Callable[[str], None]) -> tuple[int, int, list[Mutant]]:
    """Killed, total, and the mutants that nothing noticed."""
    killed = total = 0
    alive: list[Mutant] = []
    for suite in SUITES:
        package = suite.pack.topics[0].__name__.rpartition(".")[0]
        modules = {topic.__name__: topic for topic in suite.pack.topics}
        for topic in suite.pack.topics:
            for value in list(vars(topic).values()):
                source = inspect.getmodule(value) if inspect.isfunction(value) else None
                if source and source.__name__.startswith(package):
                    modules.setdefault(source.__name__, source)
        for module in modules.values():
            own = tuple(value for value in vars(module).values() if isinstance(value, Rule))
            for mutant in mutants(module):
                total += 1
                rule = vars(module).get(mutant.function)
                # A helper is used by rules of several topics, so all rules must be asked.
                asked = (rule,) if isinstance(rule, Rule) else own or suite.pack.rules
                with in_place(mutant):
                    if noticed(suite, asked) or (
                        not isinstance(rule, Rule)
                        and (noticed(suite, suite.pack.rules) or remedy_noticed(suite))
                    ):
                        killed += 1
                    else:
                        alive.append(mutant)
        say(f"{suite.pack.name}: {killed} of {total} so far")
    return killed, total, alive


def report(survivors: bool = False) -> int:
    """Prints the score; 0 if every mutant was noticed."""
    killed, total, alive = score(print)
    for mutant in alive if survivors else ():
        place = f"{mutant.module.__name__}:{mutant.line}"
        print(f"survived: {place} {mutant.function}: {mutant.change}")
    print(f"mutation score: {killed} of {total} ({100 * killed / max(total, 1):.1f} %)")
    return 0 if killed == total else 1


if __name__ == "__main__":
    sys.exit(report(survivors="--survivors" in sys.argv))
