"""Objects that tell what they were made with, so that a file can say how to make them again."""

import inspect
import sys
from collections.abc import Mapping
from functools import partial
from typing import Any

from typing_extensions import Self

__all__ = ["Described", "description_of", "is_plain"]

TOLD = ("lightning_gans", "torch")
"""Packages whose classes a file may name without being asked."""


class Described:
    """Base of objects that remember the arguments they were constructed with."""

    def __new__(cls, *arguments: Any, **keywords: Any) -> Self:
        """Keeps the arguments before any constructor runs."""
        instance = super().__new__(cls)
        instance.__dict__["_made_with"] = arguments, keywords
        return instance


def is_plain(value: object) -> bool:
    """Whether a value is data that files hold as it is: numbers, texts, lists and mappings."""
    if isinstance(value, dict):
        return all(isinstance(k, str) and is_plain(v) for k, v in value.items())
    if isinstance(value, list | tuple):
        return all(is_plain(v) for v in value)
    return value is None or type(value) in (bool, int, float, str)


def description_of(value: object) -> Any:
    """Returns an argument as a config file has it: plain data, or classes with their arguments.

    Args:
        value: plain data; a class of this package or of PyTorch, also as a ``partial`` with
            keywords; an object that is `Described`; or a list or a mapping of these.

    Raises:
        ValueError: if it is something else, such as a network that has been made already.
    """
    if is_plain(value):
        return value
    if isinstance(value, dict):
        return {key: description_of(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [description_of(part) for part in value]
    if isinstance(value, type):
        return _described(value, {})
    if isinstance(value, partial) and isinstance(value.func, type) and not value.args:
        return _described(value.func, value.keywords)
    if isinstance(value, Described):
        arguments, keywords = value.__dict__["_made_with"]
        given = inspect.signature(type(value).__init__).bind(value, *arguments, **keywords)
        _, *names = given.signature.parameters
        named: dict[str, Any] = {}
        for name in names:
            if name not in given.arguments:
                continue
            kind = given.signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_POSITIONAL:
                break  # has no name in a file
            found = given.arguments[name]
            named.update(found if kind is inspect.Parameter.VAR_KEYWORD else {name: found})
        else:
            return _described(type(value), named)
    raise ValueError(f"a {type(value).__name__} cannot be told by its class and arguments.")


def _described(cls: type, arguments: Mapping[str, Any]) -> dict[str, Any]:
    if cls.__module__.partition(".")[0] not in TOLD or "<locals>" in cls.__qualname__:
        raise ValueError(f"{cls.__qualname__} is no class of this package or of PyTorch.")
    path = _shortest_path(cls)
    if not arguments:
        return {"class_path": path}
    told = {name: description_of(value) for name, value in arguments.items()}
    return {"class_path": path, "init_args": told}


def _shortest_path(cls: type) -> str:
    """Returns the path that a class is exported at, which moves less than where it is defined."""
    module = ""
    for part in cls.__module__.split("."):
        module = f"{module}.{part}".lstrip(".")
        if getattr(sys.modules.get(module), cls.__qualname__, None) is cls:
            break
    return f"{module}.{cls.__qualname__}"
