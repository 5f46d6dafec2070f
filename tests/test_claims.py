"""How runs are read and claims are judged in benchmarks/claims*.py."""

import math
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


@pytest.fixture
def claims():
    import claims

    return claims


@pytest.fixture
def rules():
    import claims_rules

    return claims_rules


@pytest.fixture
def trained():
    import claims_runs

    return claims_runs


def kept(cell, seed, *rows, status="finished"):
    return {
        "cell": cell,
        "seed": seed,
        "status": status,
        "commit": "0" * 40,
        "floors": {"fd_digits": 0.5},
        "evaluations": [
            dict(zip(("update", "cpu_seconds", "fd_digits"), row, strict=True)) for row in rows
        ],
    }


def test_a_score_is_read_at_the_last_evaluation_within_the_budget(rules):
    rows = [(625, 50, 9.0), (9375, 500, 4.0), (10_000, 600, 3.0), (12_000, 601, 1.0)]
    runs = rules.Runs("digits", [kept("wgan", 0, *rows)])
    assert runs.read("wgan", 0, "fd_digits", "updates") == 4.0
    assert runs.read("wgan", 0, "fd_digits", "CPU seconds") == 3.0
    assert runs.read("wgan", 0, "fd_digits", "CPU seconds", 0.99) == 4.0
    assert runs.read("wgan", 0, "fd_digits", "updates", 0.01) == 9.0  # none is early enough


def test_a_run_that_failed_has_the_worst_score_of_the_experiment(rules):
    runs = rules.Runs(
        "digits",
        [
            kept("gan", 0, (9000, 100, 5.0)),
            kept("wgan", 0, (9000, 100, 7.0)),
            kept("wgan", 1, (625, 10, 1.0), status="failed"),
        ],
    )
    assert runs.read("wgan", 1, "fd_digits", "updates") == 7.0


@pytest.mark.parametrize(
    ("values", "above", "word"),
    [
        ((1.0, 1.1, 0.9), True, "holds"),
        ((1.0, 1.1, 0.9), False, "fails"),
        ((-1.0, -1.1, -0.9), False, "holds"),
        ((1.0, 0.1, 0.4), True, "open"),  # 0.5 and 1.14 to either side
        ((1.0, 0.1, 0.4), False, "open"),
    ],
)
def test_a_statement_is_judged_by_the_whole_interval(rules, values, above, word):
    statement = rules.Statement("", "digits", lambda runs, seed: values[seed], above=above)
    mean, bound, found = statement.judge(rules.Runs("digits", []))
    assert found == word
    assert bound == 0
    assert mean.mean == pytest.approx(math.fsum(values) / 3)


def test_a_claim_is_judged_by_all_of_its_statements(rules):
    words = {
        ("holds", "holds"): "holds",
        ("fails", "fails"): "does not hold",
        ("holds", "fails"): "holds only in part",
        ("holds", "open"): "holds only in part",
        ("fails", "open"): "not decided by this",
        ("open",): "not decided by this",
    }
    assert {found: rules.verdict(found) for found in words} == words


def test_convergence_is_compared_on_the_logarithm_over_ten_tenths_of_the_budget(rules):
    slow = [(937.5 * tenth, 60 * tenth, 100.0) for tenth in range(1, 11)]
    fast = [(937.5 * tenth, 60 * tenth, 100.0 / math.e) for tenth in range(1, 11)]
    fast[0] = (937.5, 60, 100.0)
    runs = rules.Runs("digits", [kept("wgan", 0, *slow), kept("wgan_gp", 0, *fast)])
    for budget in rules.BUDGETS:
        assert rules._speed("wgan", "wgan_gp", "fd_digits", budget)(runs, 0) == pytest.approx(-0.9)


def test_sensitivity_is_the_spread_over_the_cells_of_a_method(rules, trained):
    cells = [c for c in trained.RING.cells if c.startswith("wgan-")]
    assert len(cells) == 6
    rows = [{"update": 1, "cpu_seconds": 1, "w1": math.exp(power)} for power in range(6)]
    runs = rules.Runs(
        "ring",
        [
            {**kept(cell, 0), "evaluations": [row]}
            for cell, row in [*zip(cells, rows, strict=True), ("wgan_gp-wide-0.0001", rows[0])]
        ],
    )
    spread = rules._spread("wgan", "updates", rules.stdev)(runs, 0)
    assert spread == pytest.approx(math.sqrt(3.5))
    assert rules._spread("wgan", "updates", rules._farthest)(runs, 0) == pytest.approx(2.5)


def test_evaluations_have_the_mean_estimate_since_the_one_before(trained):
    class Run:
        rows = (
            {"step": 1, "train/adversarial_d": -1.0, "train/cpu_seconds": 2.0},
            {"step": 2, "train/adversarial_d": -3.0, "train/cpu_seconds": 4.0},
            {"step": 2, "val/w1": 5.0},
            {"step": 2, "alarms/clipped": 0.25},
            {"step": 2, "at_largest/discriminator.0.weight": 0.5, "weights/generator": 1.0},
            {"step": 3, "train/adversarial_d": -7.0, "train/cpu_seconds": 6.0},
            {"step": 3, "val/w1": 4.0},
        )

    assert trained.evaluations(Run()) == [
        {"update": 2, "cpu_seconds": 4.0, "w1": 5.0, "estimate": 2.0, "clipped": 0.25}
        | {"at_largest/discriminator.0.weight": 0.5},
        {"update": 3, "cpu_seconds": 6.0, "w1": 4.0, "estimate": 7.0},
    ]


def test_the_loss_follows_a_score_if_it_falls_with_it(rules):
    rows = [{"update": i, "estimate": 1 / (i + 1), "fd_digits": 9.0 - i} for i in range(5)]
    runs = rules.Runs("digits", [{**kept("wgan", 0), "evaluations": rows}])
    assert rules._follows("wgan", "fd_digits")(runs, 0) == pytest.approx(1.0)
    rows[0]["estimate"] = -1.0
    assert rules._follows("wgan", "fd_digits")(runs, 0) == pytest.approx(0.0)


def test_layers_are_shown_in_their_order_with_means_over_seeds(claims, rules, trained):
    rows = {
        (cell, seed): {
            **{"update": 5000, "at_largest/discriminator.layers.1.weight": 0.25 + 0.25 * seed},
            **{"at_largest/discriminator.layers.3.weight": 1.0},
            **{"grad_norm/discriminator.layers.1.weight": 1.0 + seed},
            **{"grad_norm/discriminator.layers.3.weight": 0.5},
        }
        for cell in trained.CLIPPING.cells
        for seed in range(3)
    }
    runs = [{**kept(*key), "evaluations": [row]} for key, row in rows.items()]
    lines = claims.layers(rules.Runs("clipping", runs))
    assert lines[0] == (
        "| critic | at the bounds, layer 1 | at the bounds, layer 2 "
        "| gradient, layer 1 | gradient, layer 2 |"
    )
    assert lines[2] == "| c = 0.001 | 50% | 100% | 2 | 0.5 |"
    assert lines[-1] == "| penalty | - | - | 2 | 0.5 |"


def test_every_cell_is_a_config_that_fit_accepts(trained, monkeypatch, tmp_path):
    from lightning_gans.cli.mistakes import check

    monkeypatch.setattr(trained, "RUNS", tmp_path)
    for name in ("digits", "ring", "clipping"):
        files = trained.written(name)
        assert len(files) == len(trained.EXPERIMENTS[name].cells)
        for file in files:
            check(["fit", "--config", str(file)])


def test_the_page_shows_the_results(claims, trained):
    assert claims.page() == claims.PAGE.read_text(), "run python benchmarks/claims.py table"
    for name, runs in claims.recorded("claims").items():
        known = {
            (cell, seed)
            for cell in trained.EXPERIMENTS[name].cells
            for seed in trained.EXPERIMENTS[name].seeds
        }
        assert {(run["cell"], run["seed"]) for run in runs} <= known
