"""The modules that docs/variants.md shows, as modules."""

import re
import sys
from functools import lru_cache
from pathlib import Path
from types import ModuleType

PAGE = Path(__file__).parents[1] / "docs" / "variants.md"


def sources() -> dict[str, str]:
    """Returns the text of each module by its name, which is the first line of its block."""
    blocks = re.findall(r"^```python\n# (\w+)\.py\n(.*?)^```", PAGE.read_text(), re.M | re.DOTALL)
    return dict(blocks)


@lru_cache
def module(name: str) -> ModuleType:
    """Returns one of the modules."""
    made = sys.modules[name] = ModuleType(name)
    exec(compile(sources()[name], f"{name}.py", "exec"), made.__dict__)
    return made
