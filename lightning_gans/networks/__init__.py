"""Networks: ``<Architecture>Generator`` and ``<Architecture>Discriminator``."""

from lightning_gans.networks.attention import SAGANDiscriminator, SAGANGenerator, SelfAttention
from lightning_gans.networks.autoencoder import Autoencoder, AutoencoderGenerator
from lightning_gans.networks.biggan import (
    BigGANDiscriminator,
    BigGANGenerator,
    MappedBatchNorm2d,
)
from lightning_gans.networks.channelwise import ChannelwiseDiscriminator, ChannelwiseGenerator
from lightning_gans.networks.conditioning import JoinLabels
from lightning_gans.networks.coupled import CoupledDiscriminator, CoupledGenerator
from lightning_gans.networks.dcgan import DCGANCritic, DCGANDiscriminator, DCGANGenerator
from lightning_gans.networks.encoders import (
    DCGANEncoder,
    DCGANJointDiscriminator,
    MLPEncoder,
    MLPJointDiscriminator,
)
from lightning_gans.networks.features import outputs_with_features
from lightning_gans.networks.infogan import (
    InfoGANDiscriminator,
    InfoGANGenerator,
    SeparatePosterior,
)
from lightning_gans.networks.inspect import evaluation_mode, has_batch_statistics
from lightning_gans.networks.minibatch import (
    MinibatchDiscrimination,
    MinibatchFeatures,
    MinibatchStdDev,
)
from lightning_gans.networks.mlp import MLPDiscriminator, MLPGenerator
from lightning_gans.networks.normalized import GradientNormalization, SpectralNorm
from lightning_gans.networks.patch import PatchDiscriminator
from lightning_gans.networks.projection import ConditionalBatchNorm2d
from lightning_gans.networks.r3gan import R3GANDiscriminator, R3GANGenerator
from lightning_gans.networks.resnet import ResNetCritic, ResNetDiscriminator, ResNetGenerator
from lightning_gans.networks.sgan import GaussianNoise, SGANDiscriminator, SGANGenerator
from lightning_gans.networks.sn_cnn import SNCNNDiscriminator, SNCNNGenerator
from lightning_gans.networks.sources import DiscriminatorSource, GeneratorSource
from lightning_gans.networks.stacked import StackedDiscriminator, StackedGenerator
from lightning_gans.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from lightning_gans.networks.translators import (
    LocalTranslator,
    MLPTranslator,
    ResNetTranslator,
    SmallTranslator,
)
from lightning_gans.networks.tutorial import (
    GlobalPoolDiscriminator,
    GlobalPoolGenerator,
    MaxPoolDiscriminator,
    MaxPoolGenerator,
)
from lightning_gans.networks.unet import UNetTranslator
from lightning_gans.networks.vae import VAEEncoder, VAEGenerator

__all__ = [
    "Autoencoder",
    "AutoencoderGenerator",
    "BigGANDiscriminator",
    "BigGANGenerator",
    "ChannelwiseDiscriminator",
    "ChannelwiseGenerator",
    "ConditionalBatchNorm2d",
    "CoupledDiscriminator",
    "CoupledGenerator",
    "DCGANCritic",
    "DCGANDiscriminator",
    "DCGANEncoder",
    "DCGANGenerator",
    "DCGANJointDiscriminator",
    "DiscriminatorSource",
    "GaussianNoise",
    "GeneratorSource",
    "GlobalPoolDiscriminator",
    "GlobalPoolGenerator",
    "GradientNormalization",
    "InfoGANDiscriminator",
    "InfoGANGenerator",
    "JoinLabels",
    "LocalTranslator",
    "MLPDiscriminator",
    "MLPEncoder",
    "MLPGenerator",
    "MLPJointDiscriminator",
    "MLPTranslator",
    "MappedBatchNorm2d",
    "MaxPoolDiscriminator",
    "MaxPoolGenerator",
    "MinibatchDiscrimination",
    "MinibatchFeatures",
    "MinibatchStdDev",
    "PatchDiscriminator",
    "R3GANDiscriminator",
    "R3GANGenerator",
    "ResNetCritic",
    "ResNetDiscriminator",
    "ResNetGenerator",
    "ResNetTranslator",
    "SAGANDiscriminator",
    "SAGANGenerator",
    "SGANDiscriminator",
    "SGANGenerator",
    "SNCNNDiscriminator",
    "SNCNNGenerator",
    "SelfAttention",
    "SeparatePosterior",
    "SmallTranslator",
    "SpectralNorm",
    "StackedDiscriminator",
    "StackedGenerator",
    "StyleGAN2Discriminator",
    "StyleGAN2Generator",
    "UNetTranslator",
    "VAEEncoder",
    "VAEGenerator",
    "evaluation_mode",
    "has_batch_statistics",
    "outputs_with_features",
]
