"""The curves of a training: what is drawn where, and that nothing that is logged breaks them."""

import numpy as np
import pytest

from lightning_gans.callbacks.curves import curves, figure_of, smoothed

UPDATES = np.arange(50, 2051, 50.0)
"""Of 41 rows."""


def rows_of(**values):
    """Returns a row an update, of values by what their keys end in; _ stands for a slash."""
    keys = [key.replace("_", "/", 1) for key in values]
    return [
        (int(update), dict(zip(keys, row, strict=True)))
        for update, *row in zip(UPDATES, *values.values(), strict=False)
    ]


def panels(figure):
    return {axes.get_title("left"): axes for axes in figure.get_axes() if axes.get_visible()}


def drawn(axes, label):
    """Returns the pale line and the bold one that a label belongs to."""
    (bold,) = (line for line in axes.lines if line.get_label() == label)
    (pale,) = (
        line for line in axes.lines if line.get_color() == bold.get_color() and line.get_alpha()
    )
    return pale, bold


def test_a_mean_is_that_of_the_values_around_it():
    assert smoothed(np.array([0.0, 3.0, 6.0, 0.0]), 3).tolist() == [1.5, 3.0, 3.0, 3.0]
    values = np.array([1.0, np.nan, 5.0, np.nan, np.nan, np.nan, 7.0])
    expected = [1.0, 3.0, 5.0, 5.0, np.nan, 7.0, 7.0]
    np.testing.assert_allclose(smoothed(values, 3), expected)
    line = np.arange(30.0)
    np.testing.assert_allclose(smoothed(line, 7)[3:-3], line[3:-3])


def test_each_family_has_a_panel_with_raw_and_smoothed_values():
    loss = np.sin(UPDATES / 100)
    loss[20] = 1e6  # a spike
    norm = 10 ** np.cos(UPDATES / 100)
    rows = rows_of(
        train_loss_d=loss,
        train_loss_g=loss + 2,
        train_d_real=loss,
        train_d_fake=-loss,
        train_grad_norm_g=norm,
        train_adversarial_d=loss,
        alarms_lipschitz=loss,
    )
    found = panels(figure_of(rows))
    assert [*found] == ["losses", "outputs of the discriminator", "gradient norms"]
    losses, outputs, norms = found.values()
    assert [axes.get_yscale() for axes in found.values()] == ["linear", "linear", "log"]
    labels = [text.get_text() for text in losses.get_legend().get_texts()]
    assert labels == ["discriminator", "generator"]
    labels = [text.get_text() for text in outputs.get_legend().get_texts()]
    assert labels == ["real", "generated"]
    pale, bold = drawn(losses, "discriminator")
    np.testing.assert_array_equal(pale.get_data(), [UPDATES, loss])
    np.testing.assert_array_equal(bold.get_xdata(), UPDATES)
    assert bold.get_linewidth() > pale.get_linewidth()
    cut = loss.clip(*np.quantile(loss, (0.01, 0.99)))
    np.testing.assert_allclose(bold.get_ydata(), smoothed(cut, 5))
    _, bold = drawn(norms, "generator")
    cut = norm.clip(*np.quantile(norm, (0.01, 0.99)))
    np.testing.assert_allclose(np.log10(bold.get_ydata()), smoothed(np.log10(cut), 5))
    assert losses.get_xlim()[1] == pytest.approx(1.02 * 2050)


def test_one_spike_flattens_nothing():
    values = np.sin(np.arange(1000.0))
    values[500] = 1e9
    rows = [(update, {"train/loss_d": value}) for update, value in enumerate(values)]
    low, high = panels(figure_of(rows))["losses"].get_ylim()
    assert -1.5 < low < high < 1.5


def test_the_estimated_distance_takes_the_place_of_the_outputs():
    ones = np.ones(41)
    rows = rows_of(train_wasserstein=ones, train_d_real=ones, train_loss_encoder=ones)
    found = panels(figure_of(rows))
    assert [*found] == ["losses", "estimated Wasserstein distance"]
    (text,) = found["losses"].get_legend().get_texts()
    assert text.get_text() == "encoder"


def test_scores_have_their_floors_and_logarithmic_axes_where_these_help():
    scores = {
        "val/w1": [3.0, 1.0, 0.1],
        "val/w2": [0.3, 0.2, 0.1],
        "val/kl": [3.0, 0.1, -0.1],
        "val/high_quality": [0.01, 0.5, 0.9],
        "val/digit_ones": [0.1, 0.2, 0.1],
    }
    rows = [(100 * i, {key: values[i] for key, values in scores.items()}) for i in range(3)]
    figure = figure_of(rows, {"w1": 0.05, "high_quality": 0.99})
    found = panels(figure)
    assert [*found] == ["w1 ↓", "w2 ↓", "kl ↓", "high_quality ↑", "digit_ones ="]
    scales = [axes.get_yscale() for axes in found.values()]
    assert scales == ["log", "linear", "linear", "linear", "linear"]
    line, floor = found["w1 ↓"].lines
    assert line.get_data()[0].tolist() == [0, 100, 200]
    assert line.get_data()[1].tolist() == [3.0, 1.0, 0.1]
    assert (line.get_marker(), floor.get_linestyle()) == (".", "--")
    assert set(floor.get_ydata()) == {0.05}
    low, high = found["w1 ↓"].get_ylim()
    assert low < 0.05 < 3.0 < high
    assert len(found["w2 ↓"].lines) == 1
    (heading,) = figure.subfigs[0].texts[:1]
    assert "dashed: real data" in heading.get_text()


def test_comparisons_of_a_score_share_its_panel():
    names = ("w1_a", "w1_b", "w1", "modes", "modes_pacgan", "mine")
    found = panels(figure_of([(7, {f"val/{name}": 1.0 for name in names})]))
    assert [*found] == ["w1 ↓", "modes ↑", "modes_pacgan ↑", "mine ↓"]
    labels = [text.get_text() for text in found["w1 ↓"].get_legend().get_texts()]
    assert labels == ["a", "b", "mean"]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_gaps(bad):
    values = np.linspace(1, 2, 41)
    some = values.copy()
    some[3] = bad
    every = np.full(41, bad)
    rows = rows_of(
        train_loss_d=some,
        train_loss_g=every,
        train_grad_norm_d=some,
        train_grad_norm_g=every,
        val_w1=some,
        val_w2=every,
    )
    pale, bold = drawn(panels(figure_of(rows))["losses"], "discriminator")
    assert np.flatnonzero(np.isnan(pale.get_ydata())).tolist() == [3]
    assert np.isfinite(bold.get_ydata()).all()
    for few in (rows, rows[:1]):
        picture = curves(few, {"w1": 0.5, "w2": float("nan")})
        assert picture.dtype == np.uint8
        assert picture.shape[2] == 3
        assert (picture.reshape(-1, 3) == (31, 119, 180)).all(1).any()  # the discriminator's


def test_of_very_many_rows_some_are_drawn():
    rows = [(update, {"train/loss_d": 1.0}) for update in range(20_001)]
    pale, _ = drawn(panels(figure_of(rows))["losses"], "discriminator")
    assert len(pale.get_xdata()) <= 5000
    assert pale.get_xdata()[-1] == 20_000
