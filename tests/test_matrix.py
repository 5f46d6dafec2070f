"""How benchmarks/matrix.py makes cells, reads runs and shows them."""

import math
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]


@pytest.fixture
def matrix(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import matrix

    return matrix


def kept(cell, seed, modes=8.0, share=0.5, kl=0.25, status="finished"):
    scores = {"modes": modes, "high_quality": share, "reverse_kl": kl}
    floors = {"modes": 8.0, "high_quality": 0.99, "reverse_kl": 0.001}
    ended = {"scores": scores, "floors": floors} if status == "finished" else {"scores": {}}
    return {"cell": cell, "seed": seed, "status": status, "floors": {}, **ended}


def test_every_cell_is_a_config_that_fit_accepts(matrix, tmp_path):
    from compared import write_configs

    from lightning_gans.cli.mistakes import check

    for name, data in matrix.DATA.items():
        files = write_configs(tmp_path / name, matrix.cells(data))
        assert len(files) == len(matrix.LOSSES) * len(data.columns)
        for file in files:
            check(["fit", "--config", str(file)])


def test_cells_differ_in_their_loss_and_column_alone(matrix):
    found = matrix.cells(matrix.DATA["ring"])
    assert len(found) == 48
    models = {name: dict(settings["model"]["init_args"]) for name, (_, settings) in found.items()}
    for name, model in models.items():
        plain = {**models["hinge-none"], "loss": model["loss"]}
        if name.endswith("-spectral"):
            plain["discriminator"] = {
                "class_path": "SpectralNorm",
                "init_args": {"network": plain["discriminator"], "scale": 100.0},
            }
        plain["regularizers"] = model["regularizers"]
        assert model == plain
    config = yaml.safe_load((ROOT / "configs/r3gan_ring_tuned.yaml").read_text())
    gamma = config["model"]["init_args"].pop("gamma")
    r1, r2 = models["kl-r1_r2"]["regularizers"]
    assert (r1["class_path"], r2["class_path"]) == ("R1", "R2")
    assert r1["init_args"]["weight"] == r2["init_args"]["weight"] == gamma
    assert models["hinge-none"]["scheduler"]["init_args"] == {"T_max": 7500}
    sizes = {name: settings["data.init_args.batch_size"] for name, (_, settings) in found.items()}
    assert (sizes["hinge-packs"], sizes["hinge-gp"]) == (256, 128)


def test_a_run_that_diverged_counts_as_one_that_finds_no_mode(matrix):
    runs = [kept("kl-none", 0), kept("kl-none", 1), kept("kl-none", 2, status="failed")]
    means, diverged = matrix.Table("ring", runs).scores("kl", "none")
    assert diverged == 1
    assert means["modes"] == pytest.approx(16 / 3)
    assert means["high_quality"] == pytest.approx(1 / 3)
    assert means["reverse_kl"] == pytest.approx((0.5 + math.log(8)) / 3)


def test_a_table_has_all_cells_or_says_how_many_are_missing(matrix):
    cells = [f"{loss}-{column}" for loss in matrix.LOSSES for column in matrix.TITLES]
    runs = [kept(cell, seed) for cell in cells for seed in range(3)]
    runs[0] = kept(cells[0], 0, status="failed")
    lines = matrix.Table("ring", runs).lines()
    assert lines[2].startswith("| `non_saturating` | 5.3 / 0.333 / 0.860 (1 diverged) | 8.0 / 0.5")
    assert lines[-1] == "Real samples: 8.0 / 0.990 / 0.001."
    found = dict(matrix.parts({"ring": runs[1:]}))
    assert found["matrix of the ring"] == ["Not measured yet: 1 of 144 runs are missing."]


def test_the_picture_shows_each_cell(matrix):
    runs = {
        name: [kept(cell, seed) for cell in matrix.cells(data) for seed in data.seeds]
        for name, data in matrix.DATA.items()
    }
    figure = matrix.drawn([matrix.Table(name, found) for name, found in runs.items()])
    texts = [text.get_text() for place in figure.axes for text in place.texts]
    assert texts == ["8.0 modes\n50.0%\nKL 0.25"] * (48 + 24)
    matrix.plt.close(figure)


def test_the_page_shows_the_results(matrix):
    assert matrix.page() == matrix.PAGE.read_text(), "run python benchmarks/matrix.py table"
    for name, runs in matrix.recorded("matrix").items():
        known = {(c, s) for c in matrix.cells(matrix.DATA[name]) for s in matrix.DATA[name].seeds}
        assert {(run["cell"], run["seed"]) for run in runs} <= known
