"""Data modules for GANs: each knows its shape and range, and serves whole batches.

The models never see these classes and these classes never see the models: any LightningDataModule
or DataLoader trains a GAN.
"""

from pkgutil import extend_path

# A project may have a folder of this name without an __init__.py, which Python would no longer
# look into: its modules are found beside these.
__path__ = extend_path(__path__, __name__)

from datamodules.array import ArrayData
from datamodules.downloaded import CIFAR10, MNIST, FashionMNIST
from datamodules.few_labels import FewLabels
from datamodules.folder import ImageFolder
from datamodules.mixtures import MixturePairs
from datamodules.paired_folder import PairedFolder, UnpairedFolders
from datamodules.pairs import UnpairedSources
from datamodules.stacked import StackedMNIST
from datamodules.stream import Batches, Stream
from datamodules.synthetic import (
    GaussianGrid,
    GaussianRing,
    OneZeroPattern,
    PacGANGrid,
    PacGANRing,
    SwissRoll,
    SyntheticData,
    UniformNoise,
)
from datamodules.transformed import (
    TransformedCIFAR10,
    TransformedFashionMNIST,
    TransformedMNIST,
)

__all__ = [
    "CIFAR10",
    "MNIST",
    "ArrayData",
    "Batches",
    "FashionMNIST",
    "FewLabels",
    "GaussianGrid",
    "GaussianRing",
    "ImageFolder",
    "MixturePairs",
    "OneZeroPattern",
    "PacGANGrid",
    "PacGANRing",
    "PairedFolder",
    "StackedMNIST",
    "Stream",
    "SwissRoll",
    "SyntheticData",
    "TransformedCIFAR10",
    "TransformedFashionMNIST",
    "TransformedMNIST",
    "UniformNoise",
    "UnpairedFolders",
    "UnpairedSources",
]
