"""What there is to choose from, read from the sources: to import PyTorch would take seconds."""

from pathlib import Path

from lightning_gans.cli import sources

__all__ = [
    "ENDINGS",
    "FORMATS",
    "REFINERS",
    "config_path",
    "configs",
    "configs_folder",
    "data",
    "variants",
]

FORMATS = ("safetensors", "onnx")
"""Of exported generators."""
REFINERS = {
    "truncate": "Truncation",
    "drs": "DRS",
    "mh": "MetropolisHastings",
    "ddls": "DDLS",
}
"""Classes of ``lightning_gans.sampling`` by what the command line calls them."""
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
    return _texts("lightning_gans.variants")


def data() -> dict[str, str]:
    """Returns the names of the data modules that come along, and what each is."""
    return {
        name: text
        for name, text in _texts("datamodules").items()
        if not text.startswith("Base ") and _serves(name)
    }


def _serves(name: str) -> bool:
    found = sources.find("datamodules", name)
    return found is not None and any(cls.name == "StreamData" for cls in found.lineage())


def _texts(module: str) -> dict[str, str]:
    """Returns the classes that a module exports, and what each is."""
    found = (sources.find(module, name) for name in sources.exported(module))
    classes = sorted(filter(None, found), key=lambda cls: cls.name.lower())
    return {cls.name: _first_sentence(cls.text) for cls in classes}


def _first_sentence(text: str) -> str:
    """Returns the first sentence, or what stands before a colon and an example."""
    whole = " ".join(text.split("\n\n")[0].split())
    ends = [whole.find(end) for end in (". ", ": ", "; ")]
    cut = min((end for end in ends if end >= 0), default=len(whole))
    return whole[:cut].rstrip(".:").replace("`", "")
