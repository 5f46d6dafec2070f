"""Pictures of a GAN in training: samples, the discriminator's level sets, curves, an animation."""

from math import isfinite
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from typing_extensions import override

from lightning_gans.callbacks import drawing
from lightning_gans.callbacks.curves import curves
from lightning_gans.callbacks.evaluation import Evaluation
from lightning_gans.core.module import AdversarialModule
from lightning_gans.core.players import Record
from lightning_gans.core.showing import Beside, Comparison, Drawing, Grid, Levels, Moved
from lightning_gans.files import LOGGED, read_rows
from lightning_gans.metrics import range_of

FRAMES = 200
"""Most frames of an animation; those of a longer run are picked at equal distances."""

__all__ = ["Pictures", "publish"]


class Pictures(Callback):
    """Draws samples of fixed latents at regular intervals, and sums the run up at its end.

    Into the run's folder go ``samples/<update>.png`` and, for points in the plane,
    ``figures/level_sets_<update>.png``; at the end ``figures/curves.png`` with losses, gradient
    norms and scores, ``figures/real_and_generated.png`` and ``figures/training.gif``. For points
    in the plane there is ``figures/optimum.png``, the discriminator beside the best one where that
    is known, and for images ``figures/interpolation.png``, rows of images on the arcs between two
    latents each. If there is an augmentation, ``figures/augmented.png`` has real images in its
    first row, and below each what the augmentation makes of it. A generator with styles, such as
    that of StyleGAN2, has ``figures/style_mixing.png``: where a row and a column meet, the first
    layers read the styles of the image at the left, and the last layers those of the image above.
    A model that `Reconstructs` images leaves ``figures/reconstructions.png``, real rows over those
    that are made of them, and, if it has classes, ``figures/styles.png``: behind each real image
    its latents in every class, at most 10. Loggers that take images get each as ``media/<name>``.

    Conditional images have a row for each class, at most 10, of the same latents; the level sets
    of conditional points are those of class 0.

    The picture before the first update has the number 0. The axes and grey levels follow the
    ``value_range`` of the data module. If it has none, images are taken to be in [-1, 1], and the
    axes follow the first batch.

    Args:
        every_n_updates: generator updates between two pictures; 0 draws at the end only.
        num_samples: generated samples in a picture, at least 1; at most 64 if they are images, and
            8 of each class if they have classes.
        enabled: whether anything is drawn.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(
        self, every_n_updates: int = 1000, num_samples: int = 1000, enabled: bool = True
    ) -> None:
        if every_n_updates < 0:
            raise ValueError(f"every_n_updates must be at least 0, got {every_n_updates}.")
        if num_samples < 1:
            raise ValueError(f"num_samples must be at least 1, got {num_samples}.")
        self.enabled = enabled
        self.every_n_updates = every_n_updates
        self.num_samples = num_samples
        self._real: Record | None = None
        self._rows: list[tuple[int, dict[str, float]]] = []

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, AdversarialModule)
        self._folder = Path(trainer.log_dir or trainer.default_root_dir)  # on every process
        self._rows = _logged_rows(self._folder / "metrics.csv", trainer.global_step)
        quick = trainer.fast_dev_run  # type: ignore[attr-defined]
        self._draws = self.enabled and trainer.is_global_zero and not quick
        self._drawn_at = -1
        data: Any = getattr(trainer, "datamodule", None)
        self._range = range_of(data)
        self._follows_batch = getattr(data, "value_range", None) is None
        self._real = None
        if hasattr(data, "floor_dataloader"):
            batch = trainer.strategy.batch_to_device(next(iter(data.val_dataloader())))
            self._real = pl_module.read_evaluation_batch(batch)

    @override
    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, AdversarialModule)
        if self._real is None:
            self._real = pl_module.read_batch(batch)
            pl_module.check_first(self._real)  # what training refuses is not drawn
            self._draws = self._draws and isinstance(self._real, pl_module.evaluates_on)
        if self._follows_batch:
            self._follow(pl_module, self._real)
        if trainer.global_step == 0 and self._drawn_at < 0 and self.every_n_updates > 0:
            self._draw(trainer, pl_module)

    def _follow(self, model: AdversarialModule, record: Record) -> None:
        """Takes the axes of points and vectors from the first batch; checkpoints keep them."""
        self._follows_batch = False
        values = [x.flatten() for x in record.tensors() if x.is_floating_point() and x.ndim == 2]
        if model.value_range is None and values:
            low, high = (limit.item() for limit in torch.cat(values).aminmax())
            if isfinite(low) and isfinite(high):  # or else training refuses the batch
                model.value_range = (low, high)
        self._range = model.value_range or self._range

    @override
    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        assert isinstance(pl_module, AdversarialModule)
        update = trainer.global_step
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if every > 0 and update % every == 0:
            self._note(pl_module, update, "train/")
        if self.every_n_updates and update % self.every_n_updates == 0:
            self._draw(trainer, pl_module)

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, AdversarialModule)
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._note(pl_module, trainer.global_step, "val/")

    def _note(self, model: AdversarialModule, update: int, prefix: str) -> None:
        """Keeps the values that have been logged at an update."""
        row = {key: value for key, value in model.last_logged.items() if key.startswith(prefix)}
        if row:
            self._rows.append((update, row))

    @override
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, AdversarialModule)
        if self._drawn_at != trainer.global_step:
            self._draw(trainer, pl_module)
        if self._draws:
            self._sum_up(trainer, pl_module)

    def _draw(self, trainer: Trainer, model: AdversarialModule) -> None:
        self._drawn_at = trainer.global_step
        if not self._draws:
            return
        title = f"{type(model).__name__}, {trainer.global_step:,} generator updates"
        with model.stopwatch.paused():
            for name, what in model.pictures(self._real, self.num_samples).items():
                picture = draw(what, self._range, title=title)
                number = f"{trainer.global_step:07d}.png"
                first = name == "samples"
                path = Path("samples", number) if first else Path("figures", f"{name}_{number}")
                publish(trainer, name, picture, self._folder / path)

    def _sum_up(self, trainer: Trainer, model: AdversarialModule) -> None:
        figures = self._folder / "figures"
        if self._rows:
            callbacks = trainer.callbacks  # type: ignore[attr-defined]
            floors = [c.floors for c in callbacks if isinstance(c, Evaluation)]
            picture = curves(self._rows, *floors[:1])
            publish(trainer, "curves", picture, figures / "curves.png")
        for name, final in model.final_pictures(self._real).items():
            picture = draw(final, self._range)
            publish(trainer, name, picture, figures / f"{name}.png")
        samples = model.pictures(self._real, self.num_samples).get("samples")
        if isinstance(samples, Comparison):
            both = drawing.real_and_generated(samples.real, samples.fake, self._range)
            drawing.save_picture(both, figures / "real_and_generated.png")
        frames = sorted(figures.glob("level_sets_*.png")) or sorted(
            (self._folder / "samples").glob("*.png")
        )
        if frames:
            number = min(len(frames), FRAMES)
            chosen = [frames[i * (len(frames) - 1) // max(1, number - 1)] for i in range(number)]
            drawing.save_gif(map(drawing.read_png, chosen), figures / "training.gif")


def publish(trainer: Trainer, name: str, picture: drawing.Picture, path: Path) -> None:
    """Writes a picture, and gives it to the loggers that take pictures as ``media/<name>``."""
    drawing.save_picture(picture, path)
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image(
                f"media/{name}", picture, trainer.global_step, dataformats="HWC"
            )
        elif isinstance(logger, WandbLogger):
            logger.log_image(f"media/{name}", [picture], step=trainer.global_step)


def draw(what: Drawing, value_range: tuple[float, float], *, title: str = "") -> drawing.Picture:
    """Returns the picture that a description asks for.

    Args:
        what: the description.
        value_range: the data's least and greatest value.
        title: above plots; a grid of images has its note.
    """
    if isinstance(what, Grid):
        return drawing.image_grid(what.images, value_range, columns=what.columns, title=what.note)
    if isinstance(what, Levels):
        title += what.note
        return drawing.level_sets(what.score, what.fake, what.real, value_range, title=title)
    if isinstance(what, Beside):
        pair = [(part.score, part.fake, part.real, part.note) for part in (what.left, what.right)]
        return drawing.beside(pair, value_range, what.limits)
    if isinstance(what, Moved):
        return drawing.moved(what.source, what.made, what.real, value_range, title=title)
    return drawing.overview(what.fake, what.real, value_range, title=title)


def _logged_rows(path: Path, update: int) -> list[tuple[int, dict[str, float]]]:
    """Returns the rows of losses and scores that a resumed run has on disk already."""
    if update == 0 or not path.is_file():
        return []
    rows = []
    for row in read_rows(path):
        shown = {key: text for key, text in row.items() if key.startswith(LOGGED)}
        values = {key: float(text) for key, text in shown.items() if text}
        if values and int(row["step"]) <= update:
            rows.append((int(row["step"]), values))
    return rows
