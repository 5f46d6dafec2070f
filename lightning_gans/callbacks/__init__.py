"""Callbacks: scores, pictures, averages, schedules, checkpoints and progress of training."""

from lightning_gans.callbacks.alarms import Alarms
from lightning_gans.callbacks.checkpoint import AtomicCheckpointIO, Checkpoint
from lightning_gans.callbacks.ema import GeneratorEMA, GeneratorSWA
from lightning_gans.callbacks.evaluation import Evaluation
from lightning_gans.callbacks.lookahead import Lookahead
from lightning_gans.callbacks.pictures import Pictures
from lightning_gans.callbacks.progress import Progress
from lightning_gans.callbacks.schedule import Schedule
from lightning_gans.callbacks.standing import StandingStatistics
from lightning_gans.callbacks.weights import WeightHistograms

__all__ = [
    "Alarms",
    "AtomicCheckpointIO",
    "Checkpoint",
    "Evaluation",
    "GeneratorEMA",
    "GeneratorSWA",
    "Lookahead",
    "Pictures",
    "Progress",
    "Schedule",
    "StandingStatistics",
    "WeightHistograms",
]
