"""Trains the configurations of the synthetic data on several seeds and tabulates their scores.

    python benchmarks/synthetic.py run      # every configuration and seed, hours on a CPU
    python benchmarks/synthetic.py table    # the table of what has been run

``run`` takes names of configurations, ``--seeds`` and ``--jobs``; it keeps what it finds already
trained. ``table`` prints Markdown and puts what it finds into ``results/synthetic.json``, beside
the runs that are there from before; ``benchmarks/gallery.py`` writes the table of
docs/benchmarks.md from it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trained import (
    RUNS,
    finished,
    minutes,
    parser_of,
    record,
    recorded,
    spread,
    train_all,
    write_results,
)

REPEATED = (
    *("gan_ring", "minimax_gan_ring", "lsgan_ring", "wgan_ring", "wgan_gp_ring"),
    *("wgan_gp_sigmoid_ring", "wgan_gp_ring_tuned", "wgan_gp_grid_tuned"),
    *("r3gan_ring_tuned", "r3gan_grid_tuned", "lsgan_pattern"),
)
ONCE = (
    *("rsgan_ring", "r3gan_ring", "ragan_ring", "ralsgan_ring", "hinge_gan_ring", "fgan_ring"),
    *("wgan_lp_ring", "wgan_div_ring", "dragan_ring", "fisher_gan_ring", "cramer_gan_ring"),
    *("mmd_gan_ring", "optimistic_gan_ring", "pacgan_ring", "unrolled_gan_ring"),
    *("topk_gan_ring", "cgan_ring"),
)
"""Configurations that are trained with one seed, to see that they work."""
CONFIGS = (*REPEATED, *ONCE)
SEEDS = {
    **dict.fromkeys(ONCE, range(1)),
    **dict.fromkeys(("r3gan_ring_tuned", "r3gan_grid_tuned", "lsgan_pattern"), range(10)),
}
"""Those that are not 0, 1 and 2, by configuration."""
REAL = {
    "ring": "wgan_gp_ring_tuned",
    "grid": "wgan_gp_grid_tuned",
    "PacGAN's ring": "r3gan_ring_tuned",
    "PacGAN's grid": "r3gan_grid_tuned",
}
"""Configurations with the floors of each data."""
SIGMOID = "wgan_gp_sigmoid_ring"
JUDGED = ("lsgan_pattern", SIGMOID)
"""Configurations of which the mean outputs of the discriminator are kept."""


def seeds_of(config: str) -> range:
    """Returns the seeds that a configuration is run with."""
    return SEEDS.get(config, range(3))


def discriminator_outputs(run: Path) -> dict[str, float]:
    """Returns the mean output of the discriminator on real and on generated samples."""
    import torch
    import yaml

    import datamodules
    from lightning_gans import load

    config = yaml.safe_load((run / "config.yaml").read_text())["data"]
    data = getattr(datamodules, config["class_path"].rpartition(".")[2])(**config["init_args"])
    model = load(run / "checkpoints" / "last.ckpt", averaged=False)
    real = data.evaluation_set(0)
    torch.manual_seed(0)  # the same latents whenever the table is made
    with torch.no_grad():
        fake = model.sample(model.sample_latent(len(real)))
        return {
            "d_real": float(model.discriminate(real).mean()),
            "d_fake": float(model.discriminate(fake).mean()),
        }


def collect(root: Path, seeds: Sequence[int] | None) -> dict[str, list[dict[str, Any]]]:
    """Returns the records of all finished runs of some seeds, by configuration."""
    found: dict[str, list[dict[str, Any]]] = {}
    for config in CONFIGS:
        for seed in seeds or seeds_of(config):
            run = finished(root, f"{config}_seed{seed}")
            if run is None:
                continue
            entry = record(run)
            if config in JUDGED:
                entry["scores"].update(discriminator_outputs(run))
            found.setdefault(config, []).append(entry)
    return found


def rows(runs: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Returns the table of the mixtures and what is told below it, in Markdown."""
    columns = {"modes": 1, "high_quality": 3, "reverse_kl": 4, "w1": 3, "sliced_w": 3}
    lines = [
        "| config | seeds | updates | minutes | " + " | ".join([*columns, "commit"]) + " |",
        "|---|---|---|---|" + "---|" * (len(columns) + 1),
    ]
    for config, records in runs.items():
        if config == "lsgan_pattern":
            continue
        taken = spread([minutes(r) for r in records], 1)
        cells = [spread([r["scores"][c] for r in records], d) for c, d in columns.items()]
        cells.append(", ".join(dict.fromkeys(f"`{r['commit'][:7]}`" for r in records)))
        updates = f"{records[0]['updates']:,}"
        about = f"`{config}` | {len(records)} | {updates} | {taken}"
        lines.append(f"| {about} | " + " | ".join(cells) + " |")
    for data, config in REAL.items():
        if config in runs:
            floors = runs[config][0]["floors"]
            cells = [f"{floors[c]:.{d}f}" for c, d in columns.items()]
            lines.append(f"| real data ({data}) | - | - | - | " + " | ".join([*cells, "- |"]))
    if "lsgan_pattern" in runs:
        lines += ["", pattern_line(runs["lsgan_pattern"])]
    if SIGMOID in runs:
        gaps = [r["scores"]["d_real"] - r["scores"]["d_fake"] for r in runs[SIGMOID]]
        told = f"real and on generated points differ by {spread(gaps, 3)} at the end."
        lines += ["", f"`{SIGMOID}`: the mean outputs of its critic on {told}"]
    return lines


def pattern_line(records: list[dict[str, Any]]) -> str:
    """Returns what became of the pattern, over all seeds."""
    errors = [r["scores"]["pattern_error"] for r in records]
    doubts = [max(abs(r["scores"][name] - 0.5) for name in ("d_real", "d_fake")) for r in records]
    good = sum(e <= 0.05 and d <= 0.05 for e, d in zip(errors, doubts, strict=True))
    return (
        f"`lsgan_pattern`: {good} of {len(records)} seeds end with every entry within 0.05 of "
        f"1-0-1-0 (largest deviation {max(errors):.3f}) and both mean outputs of the "
        f"discriminator within 0.05 of 1/2 (largest deviation {max(doubts):.3f})."
    )


def main() -> None:
    """Runs the command line."""
    parser = parser_of(__doc__)
    parser.add_argument("configs", nargs="*", default=CONFIGS, help="all if none is given")
    parser.add_argument("--seeds", nargs="+", type=int, help="of every configuration")
    parser.add_argument("--root", type=Path, default=RUNS)
    given = parser.parse_intermixed_args()
    if given.action == "run":
        plan = [(c, seed, ()) for c in given.configs for seed in given.seeds or seeds_of(c)]
        train_all(plan, given.root, given.jobs)
        return
    before, new, found = recorded("synthetic"), collect(given.root, given.seeds), {}
    for config in CONFIGS:
        kept = {run["seed"]: run for run in (*before.get(config, []), *new.get(config, []))}
        if kept:
            found[config] = [kept[seed] for seed in sorted(kept)]
    write_results("synthetic", found)
    print("\n".join(rows(found)))


if __name__ == "__main__":
    main()
