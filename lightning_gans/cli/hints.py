"""What a name that does not exist was probably meant to be."""

import re
from collections.abc import Callable, Iterable, Mapping

from lightning_gans.cli import catalogue
from lightning_gans.cli.sources import Setting, exported, find, settings
from lightning_gans.spelling import likely, nearest

__all__ = [
    "BASES",
    "CHOSEN",
    "EXAMPLES",
    "HOMES",
    "OTHERS",
    "SECTIONS",
    "classes_for",
    "no_class",
    "no_flag",
    "no_part",
    "no_section",
    "no_setting",
    "not_chosen",
    "part_word",
    "section_settings",
]

SECTIONS = {
    "trainer": ("lightning.pytorch", "Trainer"),
    "progress": ("lightning_gans.callbacks", "Progress"),
    "evaluation": ("lightning_gans.callbacks", "Evaluation"),
    "pictures": ("lightning_gans.callbacks", "Pictures"),
    "checkpoint": ("lightning_gans.callbacks", "Checkpoint"),
}
"""Module and name of the classes that every run has, by the key of their settings."""
CHOSEN: dict[str, tuple[str, Callable[[], Mapping[str, str]]]] = {
    "model": ("lightning_gans.variants", catalogue.variants),
    "data": ("datamodules", catalogue.data),
}
"""Module and names of the classes that a command line chooses from, by key."""
BASES = {
    "model": ("lightning_gans.core.module", "AdversarialModule"),
    "data": ("lightning.pytorch", "LightningDataModule"),
}
"""Module and name of the class that all of these derive from, by key."""
EXAMPLES = {"model": "WGANGP", "data": "GaussianRing"}
"""A class of each section that every run has."""
HOMES = (
    *("lightning_gans.variants", "lightning_gans.networks", "lightning_gans.core.priors"),
    *("lightning_gans.losses", "lightning_gans.regularizers", "lightning_gans.augment"),
    *("lightning_gans.optimizers", "lightning_gans.callbacks", "lightning_gans.loggers"),
    "datamodules",
)
"""Modules that the classes are exported from which a name is enough for."""

PARTS = {
    "GeneratorSource": ("lightning_gans.networks", "Generator$"),
    "DiscriminatorSource": ("lightning_gans.networks", "(Discriminator|Critic|Wrapper)$"),
    "EncoderSource": ("lightning_gans.networks", "Encoder$"),
    "LossSource": ("lightning_gans.losses", "^AdversarialLoss$"),
    "Regularizer": ("lightning_gans.regularizers", "^Regularizer$"),
    "Prior": ("lightning_gans.core.priors", "^Prior$"),
    "^nn.Module": ("lightning_gans.augment", "^Augmentation$"),
    "Optimizer": ("lightning_gans.optimizers", "^GANAdam$"),
    "Metric": ("lightning_gans.metrics", "^RecordMetric$"),
    "StreamData": ("datamodules", "^StreamData$"),
    "Callback": ("lightning_gans.callbacks", "^Callback$"),
    "Logger": ("lightning_gans.loggers", "Logger$"),
}
"""Where the classes are that a setting takes, by what its annotation has, and how they or their
bases are called."""
OTHERS = {
    "Optimizer": ("torch.optim.RMSprop", "torch.optim.SGD"),
    "LRScheduler": ("torch.optim.lr_scheduler.LinearLR",),
    "Module": (),
}
"""Classes of others that it takes, for example."""
FURTHER = {
    "Optimizer": "torch.optim",
    "LRScheduler": "torch.optim.lr_scheduler",
    "Callback": "lightning.pytorch.callbacks",
}
"""Modules of others whose classes it takes by their names."""
CLOSED = ("LossSource", "Regularizer", "Prior", "StreamData", "Optimizer", "LRScheduler")
"""Settings that take, by their names, no other classes than those known here."""
OPEN = ("GeneratorSource", "DiscriminatorSource", "EncoderSource", "Callback", "Logger")
"""Settings that take other classes, too, but none with a name like one of ours."""
SURE = 0.9
"""How like two names are if the one is the other misspelt."""


def no_class(section: str, name: str) -> str:
    """Returns the message about a model or data that there is not."""
    return f"{section}: there is no class {name}{likely(name, CHOSEN[section][1]())}"


def no_part(key: str, word: str, name: str) -> str | None:
    """Returns the message about a class that a setting cannot take, or None if it may take it.

    Args:
        key: of the setting.
        word: of `PARTS` or `OTHERS`, that its annotation has.
        name: of the class, without a module.
    """
    home = PARTS[word][0] if word in PARTS else None
    names = exported(FURTHER[word]) if word in FURTHER else []
    further = [one for one in names if one[0].isupper() and one != word]
    if name in (*(exported(home) if home else ()), *further):
        return None
    known = [*classes_for(word), *further]
    if word in CLOSED and known:
        return f"{key}: there is no class {name}{likely(name, known)}"
    near = nearest(name, known, SURE) if word in OPEN else None
    return f"{key}: there is no class {name}: did you mean {near}?" if near else None


def not_chosen(owner: str, key: str) -> str:
    """Returns the message about a setting of a class that has not been chosen."""
    return f"{owner} is not chosen. Use --{owner} CLASS in front of --{key}."


def section_settings(section: str, names: Iterable[str] = ()) -> dict[str, Setting]:
    """Returns the settings of a section of a configuration.

    Args:
        section: one of `SECTIONS`, "model" or "data".
        names: classes of the model or data, any of which may have the setting; all if none are
            given.
    """
    if section in SECTIONS:
        module, name = SECTIONS[section]
        classes = [find(module, name)]
    else:
        module, known = CHOSEN[section]
        classes = [find(module, name) for name in [*names] or known()]
    found = [settings(cls) for cls in classes if cls is not None]
    return {name: setting for part in found for name, setting in part.items()}


def no_setting(section: str, owner: str | None, name: str, known: Mapping[str, Setting]) -> str:
    """Returns the message about a setting that there is not.

    Args:
        section: "model" or "data".
        owner: the class, if it is known.
        name: of the setting.
        known: settings that there are.
    """
    deeper = _deeper(section, name, known)
    end = f". Use {' and '.join(deeper)}." if deeper else likely(name, known)
    what = f"{owner} has no setting" if owner else "there is no setting"
    return f"{section}: {what} {name}{end}"


def _deeper(section: str, name: str, known: Mapping[str, Setting]) -> list[str]:
    """Returns the flags of settings of this name that parts of a class have."""
    parts = ((part, _part_settings(setting)) for part, setting in known.items())
    return [f"--{section}.{part}.{name}" for part, found in parts if name in found]


def part_word(kind: str) -> str | None:
    """Returns the key of `PARTS` or `OTHERS` that an annotation has, or None."""
    return next((word for word in (*PARTS, *OTHERS) if re.search(word, kind)), None)


def classes_for(word: str) -> list[str]:
    """Returns the classes of the collection that a setting takes, by a key of `PARTS`."""
    names: list[str] = []
    if word not in PARTS:
        return names
    module, pattern = PARTS[word]
    for cls in (find(module, name) for name in sorted(exported(module), key=str.lower)):
        if cls is None or cls.is_abstract or cls.text.startswith("Base "):
            continue
        if any(re.search(pattern, base.name) for base in cls.lineage()):
            names.append(cls.name)
    return names


def _part_settings(setting: Setting) -> Mapping[str, Setting]:
    """Returns the settings of what a setting makes by default."""
    if setting.kind == "OptimizerCallable":  # the settings that all optimizers have
        part = find("lightning_gans.optimizers", "GANAdam")
    else:
        words = re.findall(r"\w+", f"{setting.default} {setting.kind}")
        classes = (find(setting.owner.module, word) for word in words)
        part = next((cls for cls in classes if cls is not None), None)
    return {} if part is None else settings(part)


def no_flag(flag: str, models: Iterable[str] = (), data: Iterable[str] = ()) -> str:
    """Returns the message about a flag that there is not.

    Args:
        flag: without the dashes in front.
        models: classes of the model, of which one may have it as a setting.
        data: classes of the data, likewise.
    """
    message = f"there is no flag --{flag}"
    known = _known(models, data)
    section, _, name = flag.partition(".")
    if section in known and name:
        near = nearest(name, known[section])
        return (
            f"{message}: did you mean --{section}.{near}?" if near else f"{message}; see --help."
        )
    name = flag.rpartition(".")[2]
    if name == "seed":
        return f"{message}. Use --seed_everything."
    exact = [f"--{section}.{name}" for section in _having(name, known)]
    if exact:
        return f"{message}. Use {' or '.join(exact)}."
    deeper = _deeper("model", name, known["model"])
    if deeper:
        return f"{message}. Use {' and '.join(deeper)}."
    flags = {inner: f"{key}.{inner}" for key, found in known.items() for inner in found}
    near = nearest(name, [*known, *flags])
    return (
        f"{message}: did you mean --{flags.get(near, near)}?"
        if near
        else f"{message}; see --help."
    )


def no_section(name: str, models: Iterable[str] = (), data: Iterable[str] = ()) -> str:
    """Returns the message about a section of a file that there is not.

    Args:
        name: of the section.
        models: classes of the model, of which one may have it as a setting.
        data: classes of the data, likewise.
    """
    message = f"there is no section {name}"
    known = _known(models, data)
    if name == "seed":
        return f"{message}. Use seed_everything."
    if sections := _having(name, known):
        return f"{message}. Write {name} below {' or '.join(sections)}."
    if deeper := _deeper("model", name, known["model"]):
        parts = [flag.removeprefix("--").rpartition(".")[0] for flag in deeper]
        return f"{message}. Write {name} below {' and '.join(parts)}."
    return f"{message}{likely(name, [*known, 'seed_everything', 'name', 'threads', 'ckpt_path'])}"


def _known(models: Iterable[str], data: Iterable[str]) -> dict[str, dict[str, Setting]]:
    """Returns the settings of every section; those of all classes where none is given."""
    chosen = {"model": models, "data": data}
    return {
        section: section_settings(section, chosen.get(section, ()))
        for section in (*CHOSEN, *SECTIONS)
    }


def _having(name: str, known: Mapping[str, Mapping[str, Setting]]) -> list[str]:
    """Returns the sections that have a setting of this name."""
    return [section for section, found in known.items() if name in found]
