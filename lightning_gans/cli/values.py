"""Whether a setting can have a value, by its annotation as the source has it.

Nothing here imports a class: a setting whose annotation names one may have any value. So may one
that is text, as any flag is.
"""

import ast
from collections.abc import Iterator
from typing import Any

import yaml

__all__ = ["must_be", "shown"]

PLAIN = {
    "int": ["a whole number"],
    "float": ["a number"],
    "bool": ["true", "false"],
}
"""Values of Python's own types, in words."""
MANY = {
    "int": "a list of whole numbers, such as [64,32]",
    "float": "a list of numbers, such as [0.5,0.9]",
}
"""Lists of them."""
LISTS = ("Iterable", "Sequence", "list", "tuple")


def must_be(kind: str, value: object, *, is_added: bool = False) -> str | None:
    """Returns what the value of a setting must be, in words, or None if it may have the value.

    Args:
        kind: the annotation of the setting; text that is none allows anything.
        value: as YAML has it.
        is_added: whether it is added to a list, as by ``--flag+=value``.
    """
    try:
        parts = [*_alternatives(ast.parse(kind, mode="eval").body)]
    except SyntaxError:
        return None
    if any(_may_be(part, value, is_added=is_added) for part in parts):
        return None
    words = [*dict.fromkeys(word for part in parts for word in _words(part))]
    return " or ".join(filter(None, [", ".join(words[:-1]), *words[-1:]])) or None


def shown(value: object) -> str:
    """Returns a value as a flag would have it."""
    if isinstance(value, str):
        return value
    return str(yaml.safe_dump(value, default_flow_style=True, width=1000)).split("\n")[0]


def _alternatives(node: ast.expr) -> Iterator[ast.expr]:
    """Yields the types that an annotation allows."""
    if isinstance(node, ast.BinOp):
        yield from _alternatives(node.left)
        yield from _alternatives(node.right)
    elif isinstance(node, ast.Subscript) and _name(node.value) in ("Union", "Optional"):
        for inner in _inner(node):
            yield from _alternatives(inner)
        if _name(node.value) == "Optional":
            yield ast.Constant(None)
    else:
        yield node


def _inner(node: ast.Subscript) -> list[ast.expr]:
    return node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]


def _name(node: ast.expr) -> str:
    """Returns the last part of a name with dots."""
    return ast.unparse(node).rpartition(".")[2]


def _may_be(node: ast.expr, value: object, *, is_added: bool = False) -> bool:
    """Tells whether a value may be of a type; in doubt it may."""
    if isinstance(node, ast.Constant):
        return node.value is not None or value in (None, "null")
    name = _name(node.value if isinstance(node, ast.Subscript) else node)
    if name in ("NoneType", "None"):
        return value in (None, "null")
    if name in PLAIN:
        return _is_plain(name, value)
    if name == "Literal" and isinstance(node, ast.Subscript):
        return str(value) in map(str, _choices(node))
    if name == "Tensor":
        return False  # which nobody can write on a command line
    if name in LISTS and isinstance(node, ast.Subscript):
        kinds = [kind for kind in _inner(node) if ast.unparse(kind) != "..."]
        values = value if isinstance(value, list) else [value] if is_added else None
        return values is not None and all(
            any(_may_be(part, one) for kind in kinds for part in _alternatives(kind))
            for one in values
        )
    return True


def _is_plain(name: str, value: object) -> bool:
    """Tells whether a value may be of one of Python's own types."""
    if name == "bool":
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    try:
        number: Any = {"int": int, "float": float}[name](value)
    except (TypeError, ValueError, OverflowError):
        return False
    return isinstance(value, str) or name == "float" or number == value


def _choices(node: ast.Subscript) -> list[object]:
    return [one.value for one in _inner(node) if isinstance(one, ast.Constant)]


def _words(node: ast.expr) -> list[str]:
    """Returns the values of a type in words; none for null, which nobody means."""
    if isinstance(node, ast.Constant):
        return []
    name = _name(node.value if isinstance(node, ast.Subscript) else node)
    if name == "Literal" and isinstance(node, ast.Subscript):
        return [str(choice) for choice in _choices(node)]
    if name in LISTS and isinstance(node, ast.Subscript):
        return [MANY.get(_name(_inner(node)[0]), "a list")]
    return PLAIN.get(name, [])
