"""Run folders that were never trained, in the form of real ones."""

import csv
import json

import numpy as np
import yaml

CONFIG = {
    "seed_everything": 0,
    "trainer": {"max_steps": 300, "default_root_dir": "runs", "limit_val_batches": None},
    "model": {
        "class_path": "lightning_gans.GAN",
        "init_args": {
            "n_critic": 1,
            "optimizer_g": {
                "class_path": "lightning_gans.optimizers.GANAdam",
                "init_args": {"lr": 0.0002},
            },
        },
    },
    "data": {
        "class_path": "datamodules.GaussianRing",
        "init_args": {"num_modes": 8, "batch_size": 256, "num_eval_samples": 10000},
    },
    "name": "gan_ring",
    "evaluation": {"metrics": None, "inception_weights": None},
    "checkpoint": {"monitor": "val/sliced_w", "mode": "min"},
}
RECORD = {
    "command": "lightning-gans fit --config gan_ring",
    "status": "finished",
    "model": "GAN",
    "data": "GaussianRing",
    "commit": "0123456789abcdef0123456789abcdef01234567",
    "versions": {"python": "3.11.7", "lightning-gans": "0.1.0", "torch": "2.6.0"},
    "machine": {"processor": "a processor", "device": "cpu"},
    "wall_time_s": 90.0,
    "samples": 10000,
}


def made_run(
    folder,
    seed=0,
    *,
    name="gan_ring",
    scores=None,
    steps=(100, 200, 300),
    changes=None,
    floors=None,
    **record,
):
    """Writes the folder of a run and returns it.

    Args:
        folder: to make.
        seed: of the run.
        name: of its config.
        scores: values by name, one for each step.
        steps: of the rows of scores.
        changes: of the config, by dotted names.
        floors: what real data scores.
        record: changes of ``run.json``.
    """
    scores = {"sliced_w": [3.0, 2.0, 1.0 + seed]} if scores is None else scores
    config = json.loads(json.dumps(CONFIG)) | {"seed_everything": seed, "name": name}
    for key, value in (changes or {}).items():
        *path, last = key.split(".")
        part = config
        for word in path:
            part = part[word]
        part[last] = value
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    known = {"floors": floors or {}, "seed": seed, "updates": steps[-1] if steps else 0}
    record = {**RECORD, **known, "images_seen": 256 * known["updates"], **record}
    (folder / "run.json").write_text(json.dumps(record))
    columns = ["step", "train/images_seen", "train/seconds", *(f"val/{name}" for name in scores)]
    with (folder / "metrics.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        for index, step in enumerate(steps):
            seconds = step / (10 + seed)
            row = {"step": step, "train/images_seen": 256 * step, "train/seconds": seconds}
            writer.writerow(row)
            values = {f"val/{name}": values[index] for name, values in scores.items()}
            writer.writerow({"step": step, **values})
    return folder


def many_runs(root, cells=10, seeds=5, rows=1000, number=10):
    """Writes the folders of as many runs as a page may have, and returns them."""
    draw = np.random.default_rng(0)
    steps = np.arange(1, rows + 1) * 10
    folders = []
    for cell in range(cells):
        for seed in range(seeds):
            decay = np.exp(-steps / (2000 + 300 * cell))
            scores = {
                f"score_{index}": decay + 0.1 * cell + 0.05 * draw.normal(size=rows)
                for index in range(number)
            }
            changes = {"model.init_args.optimizer_g.init_args.lr": 1e-4 * (cell + 1)}
            changes["checkpoint.monitor"] = "val/score_0"
            made = made_run(
                root / f"cell_{cell}" / f"version_{seed}",
                seed,
                scores=scores,
                steps=steps.tolist(),
                changes=changes,
            )
            folders.append(made)
    return folders
