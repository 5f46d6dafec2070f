"""What the sources say of classes and their settings: to import PyTorch would take seconds."""

import ast
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

__all__ = ["ClassSource", "Setting", "exported", "find", "find_own", "settings", "takes_any"]

ROOTS = ("datamodules", "lightning", "lightning_gans", "torch")
"""Packages that are read; what a class takes over from others is left out."""


@dataclass(frozen=True)
class ClassSource:
    """A class as it is written.

    Attributes:
        node: its syntax tree.
        module: where it is defined.
    """

    node: ast.ClassDef
    module: str

    @property
    def name(self) -> str:
        """The name of the class."""
        return self.node.name

    @property
    def text(self) -> str:
        """The docstring."""
        return ast.get_docstring(self.node) or ""

    @property
    def is_abstract(self) -> bool:
        """Whether the class itself leaves something to its subclasses."""
        return any(
            isinstance(node, ast.FunctionDef)
            and "abstractmethod" in map(ast.unparse, node.decorator_list)
            for node in self.node.body
        )

    def lineage(self) -> Iterator["ClassSource"]:
        """Yields the class and those that it derives from."""
        yield self
        for base in self.node.bases:
            found = find(self.module, ast.unparse(base))
            if found is not None:
                yield from found.lineage()


@dataclass(frozen=True)
class Setting:
    """An argument of a class.

    Attributes:
        name: of the argument.
        kind: the annotation, as it is written.
        default: likewise; None if a value has to be given.
        text: what the docstring says of it.
        owner: the class that has it.
    """

    name: str
    kind: str
    default: str | None
    text: str
    owner: ClassSource


def _file(module: str) -> Path:
    root, *parts = module.split(".")
    spec = find_spec(root)  # of the package only: to find more would import it
    assert spec is not None
    if spec.submodule_search_locations is None:  # a module in no package
        return Path(str(spec.origin))
    path = Path(next(iter(spec.submodule_search_locations))).joinpath(*parts)
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def _tree(module: str) -> ast.Module:
    try:
        return ast.parse(_file(module).read_text(encoding="utf-8"))
    except OSError:  # a compiled module, or one that another version of the package has
        return ast.Module([], [])


def exported(module: str) -> list[str]:
    """Returns the names in the ``__all__`` of a module; none if it is not written out."""
    for node in _tree(module).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            with suppress(ValueError):
                return [*ast.literal_eval(node.value)]
    return []


def find(module: str, name: str) -> ClassSource | None:
    """Returns the class that a name stands for in a module, or None if it is not in `ROOTS`."""
    for node in _statements(_tree(module)):
        if isinstance(node, ast.ClassDef) and node.name == name:
            return ClassSource(node, module)
        if isinstance(node, ast.ImportFrom) and _is_read(node.module or ""):
            for alias in node.names:
                if name == (alias.asname or alias.name):
                    return find(str(node.module), alias.name)
                if alias.name == "*" and name in exported(str(node.module)):
                    return find(str(node.module), name)
    return None


def _statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yields the statements of a module, and those for type checkers, which import lazily."""
    for node in tree.body:
        yield from node.body if isinstance(node, ast.If) else [node]


def find_own(path: str, base: str) -> ClassSource | None:
    """Returns a class of the user's own, or None if it cannot be told from the sources alone.

    Args:
        path: of the class, such as nets.MyGAN.
        base: name of the class that it has to derive from, in ways that are read here.
    """
    module, _, name = path.rpartition(".")
    if not all(map(str.isidentifier, path.split("."))) or not module:
        return None
    if find_spec(module.partition(".")[0]) is None:
        return None
    try:
        cls = find(module, name)
    except (SyntaxError, ValueError):  # which importing it tells better
        return None
    derives = cls is not None and any(parent.name == base for parent in cls.lineage())
    return cls if derives else None


def _is_read(module: str) -> bool:
    return module.split(".")[0] in ROOTS and module != "torch"  # which imports parts of itself


def takes_any(cls: ClassSource) -> bool:
    """Tells whether a class hands arguments on that are not read here."""
    made = (init for init in map(_init, cls.lineage()) if init is not None)
    return all(init.args.kwarg is not None for init in made)


def settings(cls: ClassSource) -> dict[str, Setting]:
    """Returns the arguments of a class, its own first, then those it passes to its bases."""
    found: dict[str, Setting] = {}
    fixed: set[str] = set()  # what a class decides for its bases
    for source in cls.lineage():
        init = _init(source)
        if init is None:
            continue
        texts = _texts(source)
        for argument, default in _arguments(init.args):
            if argument.arg not in fixed:
                kind = "" if argument.annotation is None else ast.unparse(argument.annotation)
                value = None if default is None else ast.unparse(default)
                text = texts.get(argument.arg, "")
                setting = Setting(argument.arg, kind, value, text, source)
                found.setdefault(argument.arg, setting)
        if init.args.kwarg is None:
            break
        calls = (node for node in ast.walk(init) if isinstance(node, ast.Call))
        passing = (call for call in calls if ast.unparse(call.func) == "super().__init__")
        fixed.update(str(keyword.arg) for call in passing for keyword in call.keywords)
    return found


def _init(cls: ClassSource) -> ast.FunctionDef | None:
    """Returns what a class itself is made by, if it says that."""
    functions = (node for node in cls.node.body if isinstance(node, ast.FunctionDef))
    return next((function for function in functions if function.name == "__init__"), None)


def _arguments(arguments: ast.arguments) -> Iterator[tuple[ast.arg, ast.expr | None]]:
    """Yields the arguments but for ``self``, each with its default."""
    required = len(arguments.args) - len(arguments.defaults)
    defaults = [*(None for _ in range(required)), *arguments.defaults]
    yield from [*zip(arguments.args, defaults, strict=True)][1:]
    yield from zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)


def _texts(cls: ClassSource) -> dict[str, str]:
    """Returns what a docstring says of the arguments; "see `X`" becomes what X says of them."""
    section = re.search(r"^Args:\n((?: +.*\n?|\n)+)", cls.text, re.MULTILINE)
    texts = {}
    for entry in re.split(r"^ {4}(?=\S)", section[1] if section else "", flags=re.MULTILINE)[1:]:
        name, _, text = entry.partition(":")
        seen = re.match(r"see `(\w+)`", text := " ".join(text.split()))
        known = _texts(other) if seen and (other := _named(cls, seen[1])) else {}
        if seen and name in known:
            text = known[name].removesuffix(".") + text[seen.end() :]
        texts[name] = text
    return texts


def _named(cls: ClassSource, name: str) -> ClassSource | None:
    """Returns the class that a docstring names: a base, or what is imported beside the class."""
    bases = (base for base in cls.lineage() if base.name == name)
    return next(bases, None) or find(cls.module, name)
