"""What the pages show: their commands and programs, and the modules of docs/variants.md."""

import re
import sys
from functools import lru_cache
from pathlib import Path
from types import ModuleType

VARIANTS = Path(__file__).parents[1] / "docs" / "variants.md"
BRIEF = {
    "trainer.val_check_interval": "2",
    "pictures.every_n_updates": "0",
    "data.num_eval_samples": "32",
}


def blocks(page: Path) -> list[tuple[str, str]]:
    """Returns the language and the text of each block of code on a page."""
    return re.findall(r"^```(\w+)\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def code(page: Path, language: str) -> list[str]:
    """Returns the blocks of a language on a page."""
    return [text for known, text in blocks(page) if known == language]


def shrunk(words: list[str]) -> list[str]:
    """Returns a command, after ``lightning-gans``, made to train for a few updates only."""
    if words[:1] == ["compare"]:
        settings = (*BRIEF.items(), ("trainer.max_steps", "2"))
        return [*words, *(part for item in settings for part in ("--set", "=".join(item)))]
    if words[:1] not in (["fit"], ["fork"]):
        return words
    steps = "6" if words[0] == "fork" else "4" if "--ckpt_path" in words else "2"
    brief = {"trainer.max_steps": steps, **BRIEF}
    flags = [part for key, value in brief.items() for part in (f"--{key}", value)]
    return [*(steps if word == "60000" else word for word in words), *flags]


def sources() -> dict[str, str]:
    """Returns the text of each module by its name, which is the first line of its block."""
    texts = code(VARIANTS, "python")
    found = (re.fullmatch(r"# (\w+)\.py\n(.*)", text, re.DOTALL) for text in texts)
    return {match[1]: match[2] for match in found if match}


@lru_cache
def module(name: str) -> ModuleType:
    """Returns one of the modules."""
    made = sys.modules[name] = ModuleType(name)
    exec(compile(sources()[name], f"{name}.py", "exec"), made.__dict__)
    return made
