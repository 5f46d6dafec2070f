"""GAN variants: one paper, one file, one class."""

from lightning_gans.core.gan import GAN
from lightning_gans.variants.aae import AAE
from lightning_gans.variants.acgan import ACGAN
from lightning_gans.variants.began import BEGAN
from lightning_gans.variants.bigan import BiGAN
from lightning_gans.variants.biggan import BigGAN
from lightning_gans.variants.cgan import CGAN
from lightning_gans.variants.cogan import CoGAN
from lightning_gans.variants.cramer_gan import CramerGAN
from lightning_gans.variants.cvae_gan import CVAEGAN
from lightning_gans.variants.cyclegan import CycleGAN
from lightning_gans.variants.dcgan import DCGAN, WDCGAN, WDCGANGP
from lightning_gans.variants.dragan import DRAGAN
from lightning_gans.variants.ebgan import EBGAN
from lightning_gans.variants.fgan import FGAN
from lightning_gans.variants.fisher_gan import FisherGAN
from lightning_gans.variants.hinge import HingeGAN
from lightning_gans.variants.infogan import InfoGAN
from lightning_gans.variants.lsgan import LSGAN
from lightning_gans.variants.minimax import MinimaxGAN
from lightning_gans.variants.mmd_gan import MMDGAN
from lightning_gans.variants.pacgan import PacGAN
from lightning_gans.variants.pix2pix import Pix2Pix
from lightning_gans.variants.r3gan import R3GAN
from lightning_gans.variants.ragan import RaGAN, RaLSGAN
from lightning_gans.variants.rsgan import RSGAN
from lightning_gans.variants.sagan import SAGAN
from lightning_gans.variants.semi_supervised_aae import SemiSupervisedAAE
from lightning_gans.variants.sgan import SGAN
from lightning_gans.variants.sngan import SNGAN
from lightning_gans.variants.stylegan2 import StyleGAN2
from lightning_gans.variants.topk import TopKGAN
from lightning_gans.variants.unrolled import UnrolledGAN
from lightning_gans.variants.vae_gan import VAEGAN
from lightning_gans.variants.wgan import WGAN
from lightning_gans.variants.wgan_div import WGANDiv
from lightning_gans.variants.wgan_gp import WGANGP
from lightning_gans.variants.wgan_lp import WGANLP

__all__ = [
    "AAE",
    "ACGAN",
    "BEGAN",
    "CGAN",
    "CVAEGAN",
    "DCGAN",
    "DRAGAN",
    "EBGAN",
    "FGAN",
    "GAN",
    "LSGAN",
    "MMDGAN",
    "R3GAN",
    "RSGAN",
    "SAGAN",
    "SGAN",
    "SNGAN",
    "VAEGAN",
    "WDCGAN",
    "WDCGANGP",
    "WGAN",
    "WGANGP",
    "WGANLP",
    "BiGAN",
    "BigGAN",
    "CoGAN",
    "CramerGAN",
    "CycleGAN",
    "FisherGAN",
    "HingeGAN",
    "InfoGAN",
    "MinimaxGAN",
    "PacGAN",
    "Pix2Pix",
    "RaGAN",
    "RaLSGAN",
    "SemiSupervisedAAE",
    "StyleGAN2",
    "TopKGAN",
    "UnrolledGAN",
    "WGANDiv",
]
