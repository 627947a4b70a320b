"""Breaks each rule in one place at a time and checks that a case notices.

    python -m tests.policies.mutation [--survivors]

A mutant is a function with one negated condition, one `and` replaced by `or`, one shifted bound, or
one violation removed. Its code replaces the function's, so nothing is imported again. If no case
notices a mutant, no case tests that part of the rule.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import inspect
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass

from strata.policies.crossguard.rule import Rule
from tests.policies.policy_suites import SUITES
from tests.policies.policy_testing import (
    Case,
    Suite,
    changed,
    findings,
    messages_match,
    not_judged,
    violations,
)
from tests.policies.remedy_cases import remediations_hold

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
    """Makes the change number `wanted` of those that a function allows."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.seen = -1
        self.made: tuple[int, str] | None = None

    def is_wanted(self, node: ast.AST, change: str) -> bool:
        self.seen += 1
        if self.seen != self.wanted:
            return False
        self.made = (getattr(node, "lineno", 0), change)
        return True

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        call = node.value
        if (
            isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and call.func.attr in {"violation", "require", "unjudged"}
            and self.is_wanted(node, "removed")
        ):
            return ast.copy_location(ast.Pass(), node)
        self.generic_visit(node)
        return node

    def visit_If(self, node: ast.If) -> ast.AST:
        if self.is_wanted(node, "condition negated"):
            node.test = ast.copy_location(ast.UnaryOp(ast.Not(), node.test), node.test)
            return node
        self.generic_visit(node)
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        if self.is_wanted(node, "`and` and `or` swapped"):
            node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            return node
        self.generic_visit(node)
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        swapped = SWAPPED.get(type(node.ops[0]))
        if swapped and self.is_wanted(node, "comparison swapped"):
            node.ops[0] = swapped()
            return node
        self.generic_visit(node)
        return node


def functions(module: types.ModuleType) -> dict[str, types.FunctionType]:
    """The functions that a module defines, including those of its rules."""
    defined: dict[str, types.FunctionType] = {}
    for name, value in vars(module).items():
        function = value.check if isinstance(value, Rule) else value
        if isinstance(function, types.FunctionType) and function.__module__ == module.__name__:
            defined[name] = function
    return defined


def code_of(function: ast.FunctionDef, module: types.ModuleType) -> types.CodeType:
    """The compiled code of one function."""
    tree = ast.fix_missing_locations(ast.Module([function], []))
    compiled = compile(tree, inspect.getfile(module), "exec")
    return next(
        constant
        for constant in compiled.co_consts
        if isinstance(constant, types.CodeType) and constant.co_name == function.name
    )


def mutants(module: types.ModuleType) -> Iterator[Mutant]:
    """Every mutant of every function of a module."""
    defined = functions(module)
    for original in ast.parse(inspect.getsource(module)).body:
        if not isinstance(original, ast.FunctionDef) or original.name not in defined:
            continue
        for wanted in range(10_000):
            change = Change(wanted)
            function = copy.deepcopy(original)
            function.decorator_list = []
            function.body = [change.visit(statement) for statement in function.body]
            if change.made is None:
                break
            yield Mutant(module, function.name, *change.made, code_of(function, module))


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


def is_noticed(suite: Suite, rules: tuple[Rule, ...]) -> bool:
    """Whether any case, judged by these rules only, has another outcome than expected."""
    slugs = {rule.slug for rule in rules}
    cases = [Case({}), *suite.cases]
    # Cases that name one of the rules come first: they are the likeliest to notice.
    cases.sort(key=lambda case: not (slugs_of(case) & slugs))
    for case in cases:
        try:
            results = findings(rules, changed(suite.fixture, case.change), case.settings)
        except Exception:
            return True
        expected = {name for name in case.finds if name.partition("/")[0] in slugs}
        unjudged = {name for name in case.unjudged if name.partition("@")[0] in slugs}
        if violations(results) != expected or not_judged(results) != unjudged:
            return True
        # What a case expects of messages is about its own rules.
        if slugs_of(case) & slugs and not messages_match(results, case):
            return True
    return False


def breaks_remediations(suite: Suite) -> bool:
    """Whether a remediation does anything else than its cases expect."""
    try:
        return not remediations_hold(suite)
    except Exception:
        return True


def slugs_of(case: Case) -> set[str]:
    finds = {name.partition("/")[0] for name in case.finds}
    return finds | {name.partition("@")[0] for name in case.unjudged}


def modules_of(suite: Suite) -> list[types.ModuleType]:
    """The topics of a pack, and the modules of its package whose functions they use."""
    package = suite.pack.topics[0].__name__.rpartition(".")[0]
    modules = {topic.__name__: topic for topic in suite.pack.topics}
    for topic in suite.pack.topics:
        for value in vars(topic).values():
            source = inspect.getmodule(value) if inspect.isfunction(value) else None
            if source and source.__name__.startswith(package):
                modules.setdefault(source.__name__, source)
    return list(modules.values())


def survives(suite: Suite, mutant: Mutant, rules: tuple[Rule, ...]) -> bool:
    rule = vars(mutant.module).get(mutant.function)
    with in_place(mutant):
        if isinstance(rule, Rule):
            return not is_noticed(suite, (rule,))
        # Rules of other topics may use a helper too.
        return not (
            is_noticed(suite, rules)
            or is_noticed(suite, suite.pack.rules)
            or breaks_remediations(suite)
        )


def main() -> int:
    """Prints the score. Returns 0 if every mutant was noticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--survivors", action="store_true", help="list the unnoticed mutants")
    arguments = parser.parse_args()
    total = 0
    survivors: list[Mutant] = []
    for suite in SUITES:
        for module in modules_of(suite):
            own = tuple(value for value in vars(module).values() if isinstance(value, Rule))
            for mutant in mutants(module):
                total += 1
                if survives(suite, mutant, own or suite.pack.rules):
                    survivors.append(mutant)
        print(f"{suite.pack.name}: {total - len(survivors)} of {total} so far", flush=True)
    for mutant in survivors if arguments.survivors else ():
        location = f"{mutant.module.__name__}:{mutant.line}"
        print(f"survived: {location} {mutant.function}: {mutant.change}")
    killed = total - len(survivors)
    print(f"mutation score: {killed} of {total} ({100 * killed / max(total, 1):.1f} %)")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
