"""Augmentations of what a discriminator reads, in training alone.

They reach real and generated samples alike, in the turns of all players: a generator that was
judged on augmented samples while real ones stayed as they are would learn the augmentation.
"""

from lightning_gans.augment.adaptive import ADA, APA, AdaptiveAugmentation
from lightning_gans.augment.base import Augmentation, RandomAugmentation
from lightning_gans.augment.blit_geometry_color import BlitGeometryColor
from lightning_gans.augment.images import DiffAugment, FlipAndShift
from lightning_gans.augment.noise import InstanceNoise

__all__ = [
    "ADA",
    "APA",
    "AdaptiveAugmentation",
    "Augmentation",
    "BlitGeometryColor",
    "DiffAugment",
    "FlipAndShift",
    "InstanceNoise",
    "RandomAugmentation",
]
