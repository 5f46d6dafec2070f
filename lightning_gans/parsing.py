"""A mend of the parser: a class that takes the place of another one has its own defaults."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jsonargparse import _typehints

__all__ = ["own_defaults"]

PARSER: Any = _typehints


@contextmanager
def own_defaults() -> Iterator[None]:
    """Makes jsonargparse forget the defaults of a class when another one is chosen in its place.

    Without this, settings that both classes have pass from the one to the other even if nobody
    chose them: the BatchNorm2d of a network for images would come into a perceptron. What was
    chosen, in a file or by the class of the model, is kept. See jsonargparse's issue 460.
    """
    discard = PARSER.discard_init_args_on_class_path_change

    def forget(parser: Any, previous: Any, value: Any) -> None:
        given = previous.get("init_args") if previous else None
        if given and previous["class_path"] != value["class_path"]:
            added = getattr(parser, "sub_add_kwargs", {})
            parser_of = PARSER.ActionTypeHint.get_class_parser
            defaults = parser_of(previous["class_path"], added).get_defaults()
            for key in [key for key in vars(given) if given[key] == defaults.get(key)]:
                del given[key]
        discard(parser, previous, value)

    PARSER.discard_init_args_on_class_path_change = forget
    try:
        yield
    finally:
        PARSER.discard_init_args_on_class_path_change = discard
