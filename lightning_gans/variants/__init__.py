"""GAN variants: one paper, one file, one class."""

from lightning_gans.core.gan import GAN
from lightning_gans.variants.acgan import ACGAN
from lightning_gans.variants.cgan import CGAN
from lightning_gans.variants.cvae_gan import CVAEGAN
from lightning_gans.variants.dcgan import DCGAN, WDCGAN, WDCGANGP
from lightning_gans.variants.dragan import DRAGAN
from lightning_gans.variants.lsgan import LSGAN
from lightning_gans.variants.minimax import MinimaxGAN
from lightning_gans.variants.wgan import WGAN
from lightning_gans.variants.wgan_div import WGANDiv
from lightning_gans.variants.wgan_gp import WGANGP
from lightning_gans.variants.wgan_lp import WGANLP

__all__ = [
    "ACGAN",
    "CGAN",
    "CVAEGAN",
    "DCGAN",
    "DRAGAN",
    "GAN",
    "LSGAN",
    "WDCGAN",
    "WDCGANGP",
    "WGAN",
    "WGANGP",
    "WGANLP",
    "MinimaxGAN",
    "WGANDiv",
]
