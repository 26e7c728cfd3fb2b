"""What a user's Python file holds, read from its syntax tree: nothing of it is run."""

from __future__ import annotations

import ast
import typing
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any, Literal

from harness.errors import TrainerError, nearest

Kind = Literal["trainer", "function", "command"]
Function = ast.FunctionDef | ast.AsyncFunctionDef
PROGRAM = "__main__"
"""`train.py:__main__` runs a file as a program, whatever functions it has."""
KINDS: dict[str, Any] = {
    "int": int, "float": float, "str": str, "bool": bool, "list": list, "List": list, "Sequence": list, "tuple": tuple, "Tuple": tuple,
}  # fmt: skip


def parse_file(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    except (SyntaxError, ValueError) as problem:  # a NUL byte is the one or the other, by the version of Python
        where = f" line {problem.lineno}" if isinstance(problem, SyntaxError) and problem.lineno else ""
        raise TrainerError(f"{path.name}{where} is not valid Python: {problem}. Mend it and run again.") from problem


def what_is_in(path: Path, name: str | None) -> tuple[Kind, str]:
    """What the file is, and the name of the object: a trainer, a function `train(seed, ...)`, or a program."""
    tree = parse_file(path)
    if name == PROGRAM:
        return "command", ""
    functions = {n.name: n for n in tree.body if isinstance(n, Function)}
    assigned = {t.id for n in tree.body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)}
    if name is not None and name not in functions:
        if name in assigned:
            return "trainer", name
        raise TrainerError(f"{path.name} has no function {name!r} at its top level. {nearest(name, functions)}")
    if name is None and "TRAINER" in assigned:
        return "trainer", "TRAINER"
    wanted = name or "train"
    if wanted not in functions or (name is None and not takes_seed(functions[wanted]) and _prints(tree)):
        return "command", ""
    _check_callable(path.name, functions[wanted])
    return "function", wanted


def takes_seed(function: Function) -> bool:
    """Whether it can be called as `function(seed=...)`."""
    arguments = function.args
    return arguments.kwarg is not None or "seed" in [a.arg for a in (*arguments.args, *arguments.kwonlyargs)]


def _check_callable(file: str, function: Function) -> None:
    """Raise TrainerError where `function(seed=..., key=...)` could not work."""
    name, arguments = function.name, function.args
    as_program = f"To run the file as a program instead: `harness run {file}:{PROGRAM}`."
    if isinstance(function, ast.AsyncFunctionDef):
        raise TrainerError(f"{file}: the function {name!r} is async; it must be a plain `def`. {as_program}")
    if arguments.posonlyargs:
        found = ", ".join(a.arg for a in arguments.posonlyargs)
        raise TrainerError(
            f"{file}: the function {name!r} takes {found} by position only (before '/'); every parameter must be callable by "
            f"name. Remove the '/'. {as_program}"
        )
    if not takes_seed(function):
        found = ", ".join(a.arg for a in (*arguments.args, *arguments.kwonlyargs)) or "none"
        raise TrainerError(
            f"{file}: the function {name!r} has no parameter 'seed' (its parameters: {found}). A function that is run as training "
            f"takes its seed: `def {name}(seed, ...)`. {as_program}"
        )


def _prints(tree: ast.Module) -> bool:
    """Whether the file does something as a program: a `__main__` guard, or a call of print or of its own functions outside of them."""
    own = {n.name for n in tree.body if isinstance(n, Function)} | {"print"}
    outside = [n for n in tree.body if not isinstance(n, Function | ast.ClassDef)]
    names = {n.id for statement in outside for n in ast.walk(statement) if isinstance(n, ast.Name)}
    return "__name__" in names or bool(names & own)


def program_note(path: Path, name: str | None) -> str:
    """What a reader should know of a file that is run as a program although it has a function `train`; else empty."""
    if name == PROGRAM or not any(isinstance(n, Function) and n.name == "train" for n in parse_file(path).body):
        return ""
    return (
        f"{path.name} runs as a program, once a run: its function 'train' has no parameter 'seed' (a function train(seed, ...) "
        "would be called instead)"
    )


# --- parameters -----------------------------------------------------------------------------------------------


class Parameter(typing.NamedTuple):
    """A parameter: `kind` a type or Any; `choices` of a Literal; `default` where it is a literal; `required` where there is none."""

    name: str
    kind: Any
    choices: tuple[Any, ...] | None
    required: bool
    default: Any = None


def parameters_of(path: Path, name: str) -> tuple[list[Parameter], bool]:
    """The parameters of a function but the seed, and whether it takes further keys (**kwargs)."""
    function = next(n for n in parse_file(path).body if isinstance(n, Function) and n.name == name)
    arguments = function.args
    padding: list[ast.expr | None] = [None] * (len(arguments.args) - len(arguments.defaults))
    pairs = [*zip(arguments.args, padding + list(arguments.defaults), strict=True)]
    pairs += [*zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    return [_parameter(p, default) for p, default in pairs if p.arg != "seed"], arguments.kwarg is not None


def _parameter(parameter: ast.arg, default: ast.expr | None) -> Parameter:
    kind, choices = _annotated(parameter.annotation)
    value = _literal(default)
    if parameter.annotation is None and value is not None:
        kind = type(value)
    return Parameter(parameter.arg, kind, choices, default is None, value)


def _literal(default: ast.expr | None) -> Any:
    """The default where TOML could say it too; None where it stays the function's own business."""
    try:
        value = None if default is None else ast.literal_eval(default)
    except ValueError:
        return None
    if isinstance(value, dict | set | bytes | complex):
        return None
    return list(value) if isinstance(value, tuple) else value


def _annotated(annotation: ast.expr | None) -> tuple[Any, tuple[Any, ...] | None]:
    """The type that an annotation means, as far as it is known (else Any), and the choices of a Literal."""
    match annotation:
        case ast.Constant(value=str(text)):
            try:
                return _annotated(ast.parse(text, mode="eval").body)
            except SyntaxError:
                return Any, None
        case ast.BinOp(op=ast.BitOr(), left=left, right=right):
            return _either(left, right), None
        case ast.Subscript(value=ast.Name(id=head) | ast.Attribute(attr=head), slice=inner):
            return _subscripted(head, inner)
        case ast.Name(id=head) | ast.Attribute(attr=head):
            return KINDS.get(head, Any), None
        case _:
            return Any, None


def _subscripted(head: str, inner: ast.expr) -> tuple[Any, tuple[Any, ...] | None]:
    parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    if head == "Literal":
        choices = tuple(p.value for p in parts if isinstance(p, ast.Constant))
        return Any, choices if len(choices) == len(parts) else None
    if head in ("Optional", "Union"):
        return _either(*parts), None
    return KINDS.get(head, Any), None


def _either(*parts: ast.expr) -> Any:
    """The union of several annotations; Any where one of them is not known."""
    kinds = [_annotated(p)[0] for p in parts if not (isinstance(p, ast.Constant) and p.value is None)]
    return reduce(or_, kinds) if kinds and Any not in kinds else Any
