"""Networks: ``<Architecture>Generator`` and ``<Architecture>Discriminator``."""

from lightning_gans.networks.evaluation import evaluation_mode, has_batch_statistics
from lightning_gans.networks.mlp import MLPDiscriminator, MLPGenerator

__all__ = ["MLPDiscriminator", "MLPGenerator", "evaluation_mode", "has_batch_statistics"]
