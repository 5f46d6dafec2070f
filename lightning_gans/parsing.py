"""What the parser of jsonargparse is told to do otherwise than by itself."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from jsonargparse import _typehints

from lightning_gans.errors import InputError

__all__ = ["import_modules", "mended", "reason_in"]

PARSER: Any = _typehints


def import_modules(names: Sequence[str]) -> None:
    """Imports the modules that classes of the user's own are in.

    Raises:
        InputError: if there is no such module.
    """
    for name in names:
        try:
            import_module(name)
        except Exception as error:  # whatever the module does
            raise InputError(f"import: {name!r} cannot be imported: {error}.") from error


def reason_in(message: str) -> str:
    """Returns the part of a parser's message that says what is wrong, in one line."""
    noise = r"Does not validate|Subtypes:|Errors:|Given value|Expected a <class 'NoneType'>"
    noise += r"|Expected a path but|Expected a <class 'collections.abc|Expected a <class 'bool'>"
    lines = (line.strip(" -") for line in message.splitlines())
    kept = dict.fromkeys(line for line in lines if line and not re.match(noise, line))
    text = re.sub(
        r"Type [^:]+ expects a function or a callable class: (Option '\w+' is not accepted)\. "
        r"Got value: Namespace\(class_path='([\w.]+)'.*",
        r"Problem with given class_path '\2': \1",
        " ".join(kept),
    )
    text = re.sub(
        r"Expected an instantiatable class, but (?:\w+\.)*(\w+) is abstract",
        r"which \1 this is a setting of has to be said first",
        text,
    )
    return re.sub(r"Expected a dot import path string: (\S+)", r"there is no class \1", text)


@contextmanager
def mended() -> Iterator[None]:
    """Mends two habits of jsonargparse while it parses.

    It forgets the defaults of a class when another one is chosen in its place. Without this,
    settings that both classes have pass from the one to the other even if nobody chose them: the
    BatchNorm2d of a network for images would come into a perceptron. What was chosen, in a file or
    by the class of the model, is kept. See jsonargparse's issue 460.

    And ``null`` for a setting of a class stays null. It would become the text None on its way to
    the parser of that class.
    """
    discard = PARSER.discard_init_args_on_class_path_change
    adapt = PARSER.adapt_class_type

    def forget(parser: Any, previous: Any, value: Any) -> None:
        given = previous.get("init_args") if previous else None
        if given and previous["class_path"] != value["class_path"]:
            added = getattr(parser, "sub_add_kwargs", {})
            parser_of = PARSER.ActionTypeHint.get_class_parser
            defaults = parser_of(previous["class_path"], added).get_defaults()
            for key in [key for key in vars(given) if given[key] == defaults.get(key)]:
                del given[key]
        discard(parser, previous, value)

    def keep_null(value: Any, *arguments: Any, **options: Any) -> Any:
        nested = value.get("init_args")
        if isinstance(nested, PARSER.NestedArg) and nested.val is None:
            value["init_args"] = nested._replace(val="null")
        return adapt(value, *arguments, **options)

    PARSER.discard_init_args_on_class_path_change = forget
    PARSER.adapt_class_type = keep_null
    try:
        yield
    finally:
        PARSER.discard_init_args_on_class_path_change = discard
        PARSER.adapt_class_type = adapt
