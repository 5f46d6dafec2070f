"""What a model may be given as a network: a class, what makes one, or the network itself."""

from collections.abc import Callable

from torch import nn

__all__ = ["DiscriminatorSource", "GeneratorSource"]

GeneratorSource = Callable[[int, tuple[int, ...]], nn.Module]
"""Makes a generator from Z, the shape of a sample and, as ``num_classes``, the classes if there
are any; or is the generator itself."""
DiscriminatorSource = Callable[[tuple[int, ...]], nn.Module]
"""Makes a discriminator from the shape of a sample and, as ``num_classes``, the classes if there
are any; or is the discriminator itself."""
