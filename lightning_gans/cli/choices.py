"""Which classes a command line chooses, key by key, before any of them is imported."""

import ast
from collections.abc import Iterable

from lightning_gans.cli.hints import CHOSEN, HOMES, SECTIONS
from lightning_gans.cli.sources import ROOTS, ClassSource, Setting, exported, find, settings

__all__ = ["Choices"]

COMPLETE = ("datamodules", "lightning_gans.core", "lightning_gans.losses")
"""Modules of classes that nobody but the user gives the settings that have no default."""


class Choices:
    """The classes that a command line chooses, by flags, in files or by leaving a default.

    Args:
        said: the key of each setting that is said, without ``class_path`` and ``init_args``, and
            its value.
        is_all: whether nothing else, such as a checkpoint, chooses classes.
    """

    def __init__(self, said: Iterable[tuple[str, object]], *, is_all: bool) -> None:
        self._said: dict[str, list[object]] = {}
        for key, value in said:
            values = value if isinstance(value, list) else [value]
            self._said.setdefault(key.removesuffix("+"), []).extend(values)
        self._is_all = is_all

    def classes(self, key: str) -> list[ClassSource]:
        """Returns the classes that may be in the place of a setting; none if that is unknown.

        There are several where one takes the place of another, or in a list.
        """
        if key in SECTIONS:
            found = [find(*SECTIONS[key])]
        elif key in self._said:
            found = [_named(key, value) for value in self._said[key]]
        elif "." in key and self._is_all:
            owner, _, name = key.rpartition(".")
            found = [_default(settings(cls).get(name)) for cls in self.classes(owner)]
        else:
            found = []
        return [] if None in found else [cls for cls in found if cls is not None]

    def is_left_out(self, key: str) -> bool:
        """Tells whether a setting that has no class by default is given none."""
        owner, _, name = key.rpartition(".")
        if not self._is_all or key in self._said:
            return False
        found = [settings(cls).get(name) for cls in self.classes(owner)]
        return bool(found) and all(part is not None and part.default == "None" for part in found)

    def lacking(self, key: str) -> list[str]:
        """Returns the settings of a chosen class that have no default and are not said."""
        classes = self.classes(key)
        if len(classes) != 1 or not classes[0].module.startswith(COMPLETE):
            return []
        said = {
            inner.split(".")[len(key.split("."))]
            for inner in self._said
            if inner.startswith(f"{key}.")
        }
        known = settings(classes[0]).values()
        return [one.name for one in known if one.default is None and one.name not in said]


def _named(key: str, value: object) -> ClassSource | None:
    """Returns the class that a name or a path in the place of a setting stands for."""
    if not isinstance(value, str):
        return None
    module, _, name = value.rpartition(".")
    if module:
        return find(module, name) if module.partition(".")[0] in ROOTS else None
    homes = [CHOSEN[key][0]] if key in CHOSEN else [*HOMES, "torch.optim"]
    return next((find(home, name) for home in homes if name in exported(home)), None)


def _default(setting: Setting | None) -> ClassSource | None:
    """Returns the class that a setting makes if nothing is said of it."""
    if setting is None or setting.default is None:
        return None
    node = ast.parse(setting.default, mode="eval").body
    node = node.body if isinstance(node, ast.Lambda) else node
    node = node.func if isinstance(node, ast.Call) else node
    module, _, name = ast.unparse(node).rpartition(".")
    if module.partition(".")[0] in ROOTS:
        return find(module, name)
    return None if module else find(setting.owner.module, name)
