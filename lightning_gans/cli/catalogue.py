"""What there is to choose from, read from the sources: to import PyTorch would take seconds."""

import ast
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

__all__ = ["ENDINGS", "FORMATS", "config_path", "configs", "configs_folder", "data", "variants"]

FORMATS = ("safetensors", "onnx")
"""Of exported generators."""
ENDINGS = (".yaml", ".yml", ".json")
"""Of files of settings."""

PACKAGE = Path(__file__).parents[1]


def configs_folder() -> Path:
    """Returns the folder of the configurations that come with the package."""
    inside = PACKAGE / "configs"
    return inside if inside.is_dir() else PACKAGE.parent / "configs"


def config_path(name: str) -> Path:
    """Returns the file of a configuration.

    Args:
        name: a path or, from any folder, a name as `configs` gives it, also as in a checkout.
    """
    short = name.removeprefix("configs/").removesuffix(".yaml")
    if short not in configs() or Path(name).exists():
        return Path(name)
    return configs_folder() / f"{short}.yaml"


def configs() -> dict[str, str]:
    """Returns the names of the configurations that come along, and what each is."""
    found = {}
    for path in sorted(configs_folder().glob("*.yaml")):
        comment = []
        for line in path.read_text().splitlines():
            if not line.startswith("#"):
                break
            comment.append(line.removeprefix("#"))
        found[path.stem] = _first_sentence("\n".join(comment))
    found.pop("default")
    return found


def variants() -> dict[str, str]:
    """Returns the names of the GANs, and what each is."""
    return _public([PACKAGE / "core" / "gan.py", *sorted((PACKAGE / "variants").glob("*.py"))])


def data() -> dict[str, str]:
    """Returns the names of the data modules that come along, and what each is."""
    spec = find_spec("datamodules")
    assert spec is not None
    assert spec.origin is not None
    files = sorted(Path(spec.origin).parent.glob("*.py"))
    bases = {
        node.name: [base.id for base in node.bases if isinstance(base, ast.Name)]
        for node in _classes(files)
    }

    def serves(name: str) -> bool:
        return name == "StreamData" or any(map(serves, bases.get(name, [])))

    found = _public(files)
    return {n: text for n, text in found.items() if serves(n) and not text.startswith("Base ")}


def _public(files: list[Path]) -> dict[str, str]:
    """Returns the classes that a package's ``__init__.py`` exports, and what each is."""
    (package,) = (path for path in files if path.name == "__init__.py")
    (names,) = (
        ast.literal_eval(node.value)
        for node in ast.parse(package.read_text()).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    found = {node.name: _first_sentence(ast.get_docstring(node) or "") for node in _classes(files)}
    return {name: found[name] for name in sorted(names, key=str.lower)}


def _classes(files: list[Path]) -> Iterator[ast.ClassDef]:
    for path in files:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                yield node


def _first_sentence(text: str) -> str:
    """Returns the first sentence, or what stands before a colon and an example."""
    whole = " ".join(text.split("\n\n")[0].split())
    ends = [whole.find(end) for end in (". ", ": ", "; ")]
    cut = min((end for end in ends if end >= 0), default=len(whole))
    return whole[:cut].rstrip(".:").replace("`", "")
