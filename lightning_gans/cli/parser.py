"""What the parser of jsonargparse is told to do otherwise than by itself."""

import inspect
from argparse import ArgumentError
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from importlib import import_module
from typing import Any

from jsonargparse import Namespace, _common, _typehints, set_parsing_settings

from lightning_gans.cli.catalogue import ENDINGS
from lightning_gans.cli.hints import (
    CHOSEN,
    HOMES,
    classes_for,
    no_class,
    not_chosen,
    part_word,
)
from lightning_gans.cli.sources import exported
from lightning_gans.cli.values import must_be, shown
from lightning_gans.spelling import nearest

__all__ = ["Refused", "cause_of", "mended", "reason", "trusting"]

PARSER: Any = _typehints


@dataclass(frozen=True)
class Refused:
    """A setting whose value the parser refuses, as `mended` notes it on the error.

    Attributes:
        key: of the setting in its class.
        value: as it was given.
        kind: the type that the setting has.
    """

    key: str
    value: Any
    kind: Any


def _causes(error: BaseException) -> list[BaseException]:
    """Returns an error and what it stems from, what happened first at the end."""
    causes = [error]
    while causes[-1].__cause__ is not None:
        causes.append(causes[-1].__cause__)
    return causes


def cause_of(error: BaseException) -> BaseException:
    """Returns what a parser's error stems from: the first that says what value is wrong."""
    causes = _causes(error)
    ours = [cause for cause in causes[1:] if isinstance(cause, ValueError)]
    ours = [cause for cause in ours if not str(cause).startswith("Does not validate against")]
    return ours[0] if ours else causes[-1]


def reason(error: BaseException) -> str:
    """Returns the message about a command line that the parser refuses.

    Args:
        error: of the parser, with those that led to it as its causes.
    """
    causes = _causes(error)
    noted = [note for cause in causes if isinstance(note := getattr(cause, "note", None), Refused)]
    classes = [cause.made for cause in causes if hasattr(cause, "made")]
    if not noted:
        return str(causes[-1])
    key = ".".join(dict.fromkeys(note.key.removesuffix("+") for note in noted))
    value = noted[-1].value
    kind = inspect.formatannotation(noted[-1].kind)
    words = must_be(kind, value, is_added=True)
    if words is not None and not isinstance(value, dict | Namespace):
        return f"{key} must be {words}, got {shown(value)}."
    if isinstance(value, PARSER.NestedArg) and not classes:
        return not_chosen(key, f"{key}.{value.key}")
    if isinstance(value, str) and value.lower() in ("inf", "infinity", "nan"):
        return f"{key} must be a finite number, got {value}."
    if isinstance(value, str) and value.isidentifier():
        return _no_class(key, value, classes_for(part_word(kind) or ""))
    if isinstance(value, str) and isinstance(causes[-1], ImportError | AttributeError):
        return f"{key}: {value} cannot be used: {causes[-1]}."
    if classes:
        owner, given = classes[-1]
        known = _arguments(owner)
        if unknown := [name for name in given if name not in known]:
            name = unknown[0].removesuffix("+")  # of a list that is added to
            near = nearest(name, known)
            end = f": did you mean {near}?" if near else "."
            end = ", which it gives its base itself." if name in known else end
            return f"{key}: {owner} has no setting {name}{end}"
    return f"{key}: {causes[-1]}"


def _no_class(key: str, name: str, taken: Sequence[str]) -> str:
    """Returns the message about a class that there is not.

    Args:
        key: of the setting.
        name: of the class.
        taken: names of classes of the collection that the setting takes.
    """
    if key in CHOSEN:
        return no_class(key, name)
    near = nearest(name, (known for home in HOMES for known in exported(home)))
    there = f"; there are {', '.join(taken)}." if taken else "."
    return f"{key}: there is no class {name}{f': did you mean {near}?' if near else there}"


def _arguments(owner: str) -> set[str]:
    """Returns the names of what a class, perhaps of the user's own, is made from."""
    module, _, name = owner.rpartition(".")
    found = getattr(import_module(module), name)
    bases = found.__mro__ if isinstance(found, type) else ()
    made = (vars(base)["__init__"] for base in bases if "__init__" in vars(base))
    parameters = (part for init in made for part in inspect.signature(init).parameters.values())
    passed_on = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {part.name for part in parameters if part.kind not in passed_on} - {"self"}


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
    """Mends six habits of jsonargparse while a command runs.

    Its errors tell only in words which setting is refused, and each class around it adds more.
    They are made to carry the setting along, for `reason`.

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
    adapt, check = PARSER.adapt_class_type, PARSER.ActionTypeHint._check_type

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
        try:
            return adapt(value, *arguments, **options)
        except ArgumentError as error:
            if not hasattr(error, "made"):
                found = PARSER.subclass_spec_as_namespace(value)
                names = found.get("init_args", {})
                given = [names.key] if isinstance(names, PARSER.NestedArg) else [*vars(names)]
                error.made = found.class_path, given  # type: ignore[attr-defined]
            raise

    @wraps(check)  # its signature is asked for
    def noting(action: Any, value: Any, *arguments: Any, **options: Any) -> Any:
        try:
            return check(action, value, *arguments, **options)
        except TypeError as error:
            error.note = Refused(action.dest, value, action._typehint)  # type: ignore[attr-defined]
            raise

    def may_be_file(value: Any) -> bool:
        text = value.val if isinstance(value, PARSER.NestedArg) else value
        return isinstance(text, str) and text.endswith(ENDINGS)

    def read_value(value: Any, enable_path: bool = True, **options: Any) -> Any:
        return read(value, enable_path=enable_path and may_be_file(value), **options)

    def open_settings(value: Any, *arguments: Any) -> Any:
        return open_file(value, *arguments) if may_be_file(value) else PARSER.not_a_subconfig_path

    PARSER.discard_init_args_on_class_path_change = forget
    PARSER.adapt_class_type = keep_null
    PARSER.ActionTypeHint._check_type = noting
    PARSER.parse_value_or_config = read_value
    PARSER.adapt_subconfig_path = open_settings
    try:
        yield
    finally:
        PARSER.parse_value_or_config, PARSER.adapt_subconfig_path = read, open_file
        _common.parsing_settings.update(kept)
        PARSER.discard_init_args_on_class_path_change = discard
        PARSER.adapt_class_type, PARSER.ActionTypeHint._check_type = adapt, check
