"""A value is refused before PyTorch is imported only if the parser would refuse it too."""

import inspect
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, Optional, Union, get_type_hints

import pytest
import yaml
from jsonargparse import ArgumentParser
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import Logger
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import Metric

import datamodules  # noqa: F401  so that its classes are defined
from datamodules.stream import StreamData
from lightning_gans.augment import Augmentation
from lightning_gans.cli.hints import HOMES, PARTS, SECTIONS, no_part, section_settings
from lightning_gans.cli.mistakes import GENERAL, NAMED
from lightning_gans.cli.sources import exported, find, settings
from lightning_gans.cli.values import must_be, shown
from lightning_gans.core.priors import Prior
from lightning_gans.losses import AdversarialLoss
from lightning_gans.regularizers import Regularizer

WORDS = [
    ("int", "two", "a whole number"),
    ("int", 2.5, "a whole number"),
    ("int", True, "a whole number"),
    ("int", None, "a whole number"),
    ("float", "fast", "a number"),
    ("float", [1.0], "a number"),
    ("float | Tensor", "fast", "a number"),
    ("bool", "maybe", "true or false"),
    ("bool", 1, "true or false"),
    ("int | None", "none", "a whole number"),
    ("Union[int, bool]", "maybe", "a whole number, true or false"),
    ("Optional[Union[int, float]]", "many", "a whole number or a number"),
    ("Literal['min', 'max']", "low", "min or max"),
    ("bool | Literal['all']", "some", "true, false or all"),
    ("tuple[int, ...] | None", "wide", "a list of whole numbers, such as [64,32]"),
    ("tuple[int, ...]", [64, "wide"], "a list of whole numbers, such as [64,32]"),
    ("tuple[float, float]", 3, "a list of numbers, such as [0.5,0.9]"),
    ("Sequence[Regularizer]", "R1", "a list"),
]
FINE = [
    *(("int", 2), ("int", 2.0), ("float", 3), ("float", "1e-3"), ("float", "inf")),
    *(("bool", False), ("str", 5), ("str", True), ("int | None", None), ("int | None", "null")),
    *(("Literal[16, 32]", "16"), ("tuple[int, ...]", [1, 2]), ("Sequence[Regularizer]", [])),
    *(("GeneratorSource", "anything"), ("Optional[_PATH]", [1]), ("Union['Run', None]", "x")),
    *(("", 1), ("int | str", "two"), ("not an annotation", 1), ("Tensor", 1)),
]
VALUES = [
    *("two", "2", "2.5", "-1", "1e-3", "1_000", "0x10", "0o7", "1e3", ".5", "2.", "inf", "nan"),
    *("true", "True", "yes", "no", "off", "null", "none", "~", "min", "all", "auto", "16", "'5'"),
    *(
        "[]",
        "[1]",
        "[1,2]",
        "[1.5,2]",
        "[1,two]",
        "[[1]]",
        "[true]",
        "[null]",
        "{}",
        "'0x10'",
        "{a: 1}",
    ),
    *("a,b", "1:30", "2024-01-01", "00:00:01:00", '"2"', "'true'", "a b", "-", "+1", "1,000", "!"),
]
NAMES: dict[str, Any] = {
    "Any": Any,
    "Callable": Callable,
    "Iterable": Iterable,
    "Literal": Literal,
    "Optional": Optional,
    "Sequence": Sequence,
    "Tensor": Tensor,
    "Union": Union,
}


@pytest.mark.parametrize(("kind", "value", "words"), WORDS)
def test_the_message_says_in_words_what_a_value_must_be(kind, value, words):
    assert must_be(kind, value) == words


@pytest.mark.parametrize(("kind", "value"), FINE)
def test_what_a_setting_may_be_is_not_refused(kind, value):
    assert must_be(kind, value) is None


def test_what_is_added_to_a_list_is_one_of_its_values():
    assert must_be("tuple[int, ...]", 3, is_added=True) is None
    assert must_be("tuple[int, ...]", "wide", is_added=True) is not None


def test_values_are_shown_as_flags_have_them():
    assert [*map(shown, ["two", True, None, 2.5, [1, "a"], {}])] == [
        *("two", "true", "null", "2.5", "[1, a]", "{}")
    ]


def kinds():
    """Returns every annotation of Python's own types that a setting has."""
    classes = [find(home, name) for home in HOMES for name in exported(home)]
    found = [setting for cls in classes if cls for setting in settings(cls).values()]
    found += [setting for key in SECTIONS for setting in section_settings(key).values()]
    return sorted({setting.kind for setting in found} | {*GENERAL.values()})


def evaluated(kind):
    try:
        return eval(kind, dict(NAMES))
    except (NameError, SyntaxError):
        return None  # the name of a class, which stands for anything


@pytest.mark.parametrize("kind", [k for k in kinds() if evaluated(k) and "'Run'" not in k])
def test_the_parser_refuses_all_that_is_refused_before_it(kind):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--key", type=evaluated(kind))
    for text in VALUES:
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            value = text
        if must_be(kind, value) is not None:
            with pytest.raises(Exception, match="key"):
                parser.parse_args([f"--key={text}"])


def test_names_of_devices_and_precisions_are_those_of_lightning():
    precisions = get_type_hints(Trainer.__init__)["precision"]
    known = {str(name) for part in precisions.__args__ for name in getattr(part, "__args__", ())}
    assert known == {*NAMED["trainer.precision"]}


BASES = {
    "LossSource": AdversarialLoss,
    "Regularizer": Regularizer,
    "Prior": Prior,
    "^nn.Module": Augmentation,
    "GeneratorSource": nn.Module,
    "DiscriminatorSource": nn.Module,
    "EncoderSource": nn.Module,
    "Optimizer": Optimizer,
    "LRScheduler": LRScheduler,
    "Metric": Metric,
    "StreamData": StreamData,
    "Callback": Callback,
    "Logger": Logger,
}


def below(cls):
    return {cls, *(inner for direct in cls.__subclasses__() for inner in below(direct))}


@pytest.mark.parametrize("word", PARTS)
def test_no_class_that_the_parser_knows_by_its_name_is_refused_before_it(word):
    rooms = ("torch.", "lightning", "torchmetrics", "torchvision", "datamodules")
    for cls in below(BASES[word]):
        name = cls.__name__
        is_base = name == "GaussianMixture"  # which needs tensors
        is_base |= inspect.isabstract(cls) or (cls.__doc__ or "").startswith("Base ")
        is_known = cls.__module__.startswith(rooms) and not name.startswith("_")
        is_known &= getattr(sys.modules.get(cls.__module__), name, None) is cls
        if is_known and not is_base and cls is not BASES[word]:
            assert no_part("key", word, name) is None, cls
