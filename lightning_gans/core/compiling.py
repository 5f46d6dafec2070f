"""Functions that PyTorch compiles, or that run as they are where it cannot."""

from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_warn

__all__ = ["Compiled"]

VERSIONS = 64
"""Most versions of a function: one for each set of values of its arguments that are no tensors."""


class Compiled:
    """A function that is compiled when it is first called, and draws the noise it would without.

    A function that cannot be compiled as a whole says so and runs as it is from then on.

    Args:
        name: of the function, for the warning.
        function: of tensors and of what holds tensors.
    """

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name = name
        self.function = function

        def alone(*arguments: Any) -> Any:
            return function(*arguments)

        # PyTorch counts the versions of a code object. With one for each function, a program that
        # trains many models does not run out of them.
        alone.__code__ = alone.__code__.replace()
        self._compiled: Callable[..., Any] | None = torch.compile(
            alone,
            fullgraph=True,
            dynamic=False,
            # Noise comes from the generator that eager mode draws from, in the same order.
            options={"fallback_random": True},
        )

    @property
    def compiled(self) -> bool:
        """Whether it has not turned out that the function cannot be compiled."""
        return self._compiled is not None

    def __call__(self, *arguments: Any) -> Any:
        """Calls the function."""
        if self._compiled is None:
            return self.function(*arguments)
        # Late, since importing it takes seconds. Each player and each kind of row is a version of
        # its own of the same code, and what DDP would split here is the forward pass alone.
        from torch._dynamo import config

        try:
            with config.patch(cache_size_limit=VERSIONS, optimize_ddp=False):
                return self._compiled(*arguments)
        except Exception as error:
            if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
                raise
            reason = next((line for line in str(error).splitlines() if line), "no reason given")
            rank_zero_warn(
                f"compile: {self.name} cannot be compiled and runs without: "
                f"{type(error).__name__}: {reason}"
            )
            self._compiled = None
            return self.function(*arguments)
