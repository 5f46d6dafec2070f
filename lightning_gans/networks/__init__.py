"""Networks: ``<Architecture>Generator`` and ``<Architecture>Discriminator``."""

from lightning_gans.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from lightning_gans.networks.evaluation import evaluation_mode, has_batch_statistics, output_range
from lightning_gans.networks.global_pool import GlobalPoolDiscriminator, GlobalPoolGenerator
from lightning_gans.networks.max_pool import MaxPoolDiscriminator, MaxPoolGenerator
from lightning_gans.networks.mlp import MLPDiscriminator, MLPGenerator

__all__ = [
    "DCGANDiscriminator",
    "DCGANGenerator",
    "GlobalPoolDiscriminator",
    "GlobalPoolGenerator",
    "MLPDiscriminator",
    "MLPGenerator",
    "MaxPoolDiscriminator",
    "MaxPoolGenerator",
    "evaluation_mode",
    "has_batch_statistics",
    "output_range",
]
