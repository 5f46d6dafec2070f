"""What the parser of jsonargparse is told to do otherwise than by itself."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from jsonargparse import _common, _typehints, set_parsing_settings

from lightning_gans.cli.catalogue import ENDINGS

__all__ = ["mended", "reason_in", "trusting"]

PARSER: Any = _typehints


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
def trusting(names: Iterable[str]) -> Iterator[None]:
    """Lets the parser import some names only, while it reads settings of a file.

    The settings have been checked; this is for what a check could miss.

    Args:
        names: packages, modules and what is in them.
    """
    kept = dict(_common.parsing_settings)
    set_parsing_settings(import_path_denylist=["*"], import_path_allowlist=[*names])
    try:
        yield
    finally:
        _common.parsing_settings.update(kept)


@contextmanager
def mended() -> Iterator[None]:
    """Mends five habits of jsonargparse while a command runs.

    It forgets the defaults of a class when another one is chosen in its place. Without this,
    settings that both classes have pass from the one to the other even if nobody chose them: the
    BatchNorm2d of a network for images would come into a perceptron. What was chosen, in a file or
    by the class of the model, is kept. See jsonargparse's issue 460.

    ``null`` for a setting of a class stays null. It would become the text None on its way to the
    parser of that class.

    Text in the place of a class is the path of a file of settings only if it ends like one: a file
    named ``auto`` in the working directory would be read for ``--trainer.strategy auto``. And no
    settings are read from an address, which Lightning allows. Nor is a class made where an
    argument has no type.
    """
    kept = dict(_common.parsing_settings)
    set_parsing_settings(
        config_read_mode_fsspec_enabled=False, instantiate_subclass_spec_in_any=False
    )
    read, open_file = PARSER.parse_value_or_config, PARSER.adapt_subconfig_path
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

    def may_be_file(value: Any) -> bool:
        text = value.val if isinstance(value, PARSER.NestedArg) else value
        return isinstance(text, str) and text.endswith(ENDINGS)

    def read_value(value: Any, enable_path: bool = True, **options: Any) -> Any:
        return read(value, enable_path=enable_path and may_be_file(value), **options)

    def open_settings(value: Any, *arguments: Any) -> Any:
        return open_file(value, *arguments) if may_be_file(value) else PARSER.not_a_subconfig_path

    PARSER.discard_init_args_on_class_path_change = forget
    PARSER.adapt_class_type = keep_null
    PARSER.parse_value_or_config = read_value
    PARSER.adapt_subconfig_path = open_settings
    try:
        yield
    finally:
        PARSER.parse_value_or_config, PARSER.adapt_subconfig_path = read, open_file
        _common.parsing_settings.update(kept)
        PARSER.discard_init_args_on_class_path_change = discard
        PARSER.adapt_class_type = adapt
