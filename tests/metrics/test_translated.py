"""Scores of translations, against torchmetrics and by hand."""

import math
from functools import partial

import pytest
import torch
from conftest import quiet_trainer
from made import make_digits
from torchmetrics.image import PeakSignalNoiseRatio, StructuralSimilarityIndexMeasure

from datamodules import MixturePairs, TransformedMNIST
from datamodules.transforms import TRANSFORMS, undoing
from lightning_gans import GAN, CoGAN, CycleGAN, Pix2Pix
from lightning_gans.callbacks import Evaluation
from lightning_gans.metrics import (
    ClassAgreement,
    CycleError,
    LabelFidelity,
    PairedError,
    better,
    fitting_metrics,
    mode_reader,
)
from lightning_gans.networks import (
    DCGANDiscriminator,
    MLPDiscriminator,
    MLPTranslator,
    SmallTranslator,
)


def scored(metric, *records):
    for record in records:
        metric.observe(record, real=True)
        metric.observe(record, real=False)
    return {name: float(value) for name, value in metric.compute().items()}


def translations(number=6, shape=(1, 16, 16)):
    truth, fake, source = (torch.rand(number, *shape) * 2 - 1 for _ in range(3))
    return {"real": truth, "fake": fake, "source": source, "truth": truth, "back": fake}


def test_paired_errors_are_those_of_torchmetrics_whatever_the_batches():
    one, other = translations(5), translations(3)
    found = scored(PairedError((1, 16, 16)), one, other)
    both = {key: torch.cat([one[key], other[key]]) for key in one}
    for name, guess in (("paired", both["fake"]), ("identity", both["source"])):
        apart = (guess - both["truth"]).double()
        assert found[f"{name}_l1"] == pytest.approx(float(apart.abs().mean()), rel=1e-6)
        psnr = PeakSignalNoiseRatio(data_range=2.0)(guess, both["truth"])
        assert found[f"{name}_psnr"] == pytest.approx(float(psnr), rel=1e-5)
        ssim = StructuralSimilarityIndexMeasure(data_range=2.0)(guess, both["truth"])
        assert found[f"{name}_ssim"] == pytest.approx(float(ssim), rel=1e-4)
    assert better("paired_psnr_b") == better("paired_ssim") == "high"
    assert better("paired_l1_a") == "low"


def test_a_right_translation_has_no_error():
    record = translations()
    record["fake"] = record["truth"]
    found = scored(PairedError((1, 16, 16)), record)
    assert found["paired_l1"] == 0
    assert found["paired_ssim"] == pytest.approx(1)
    assert found["paired_psnr"] == float("inf")


def test_a_translation_that_is_no_number_has_no_score_and_its_sources_have():
    record = translations()
    record["fake"] = record["fake"].clone()
    record["fake"][2, 0, 3, 4] = torch.nan
    found = scored(PairedError((1, 16, 16)), record)
    missing = {name for name, value in found.items() if math.isnan(value)}
    assert missing == {"paired_l1", "paired_psnr", "paired_ssim"}
    assert set(found) == missing | {"identity_l1", "identity_psnr", "identity_ssim"}


def test_points_have_distances_only_and_grey_sources_are_compared_in_each_channel():
    assert set(scored(PairedError((2,)), translations(4, (2,)))) == {"paired_l1", "identity_l1"}
    assert PairedError((1, 8, 8)).scores[-1] == "identity_psnr"  # smaller than a window
    record = translations(2, (3, 16, 16))
    record["source"] = record["source"][:, :1]
    found = scored(PairedError((3, 16, 16)), record)
    apart = record["source"].expand_as(record["truth"]) - record["truth"]
    assert found["identity_l1"] == pytest.approx(float(apart.abs().mean()), rel=1e-6)
    record["source"] = torch.zeros(2, 5)
    assert set(scored(PairedError((3, 16, 16)), record)) == {
        *("paired_l1", "paired_psnr", "paired_ssim"),
    }


@pytest.mark.filterwarnings("error")
def test_without_a_truth_there_is_no_error():
    record = {**translations(), "truth": None}
    assert scored(PairedError((1, 16, 16)), record) == {}
    assert scored(LabelFidelity(lambda x: x.argmax(1)), {**record, "labels": None}) == {}


def test_the_way_there_and_back():
    record = translations()
    expected = (record["back"] - record["source"]).abs().mean()
    assert scored(CycleError(), record)["cycle_l1"] == pytest.approx(float(expected), rel=1e-6)


def test_records_of_other_models_are_refused():
    record = {"real": torch.zeros(2, 2), "fake": torch.zeros(2, 2)}
    for metric, message in (
        (PairedError((2,)), "PairedError needs a model that translates"),
        (CycleError(), "CycleError needs a model that translates there and back"),
        (ClassAgreement(len, len), "ClassAgreement needs a model of two kinds"),
    ):
        with pytest.raises(ValueError, match=message):
            metric.observe(record, real=False)
    with pytest.raises(ValueError, match=r"have shape \(2, 3\), but the truth has shape \(2, 2\)"):
        PairedError((2,)).update(torch.zeros(2, 2), torch.zeros(2, 3), torch.zeros(2, 2))


def test_agreement_counts_samples_that_are_read_alike():
    record = {"source": torch.tensor([1.0, 2.0, 3.0, 4.0]), "fake": torch.tensor([5.0, 6, 8, 9])}
    metric = ClassAgreement(lambda made: made - 4, lambda source: source)
    metric.observe(record, real=False)
    assert metric.compute()["class_agreement"] == 0.5


def test_samples_without_a_class_do_not_agree():
    read = mode_reader(torch.eye(2))
    metric = ClassAgreement(read, read)
    spoilt = torch.tensor([[1.0, 0.0], [float("nan"), 0.0]])
    metric.observe({"source": spoilt, "fake": spoilt}, real=False)
    assert metric.compute()["class_agreement"] == 0.5


def kinds(metrics):
    return {type(metric) for metric in metrics}


@pytest.mark.parametrize("transform", ["invert", None])
def test_targets_of_pairs_are_scored_by_what_is_known_of_them(transform, tmp_path):
    if transform:
        make_digits(tmp_path, training=60, test=30)
        data = TransformedMNIST(
            transform, data_dir=str(tmp_path), paired=True, batch_size=4, num_eval_samples=20
        )
        expected = {"label_fidelity", "class_agreement"}
        translator = partial(SmallTranslator, width=2, blocks=1)
        judge = partial(DCGANDiscriminator, width=2)
    else:
        data = MixturePairs(paired=True, batch_size=4, num_eval_samples=20)
        expected = {"modes", "high_quality", "label_fidelity"}
        translator, judge = MLPTranslator, MLPDiscriminator
    evaluation = Evaluation()
    trainer = quiet_trainer(1, callbacks=[evaluation], limit_val_batches=1.0)
    model = Pix2Pix(data_shapes=data.data_shapes, generator=translator, discriminator=judge)
    trainer.validate(model, data, verbose=False)
    assert evaluation.scores.keys() >= {"paired_l1", "identity_l1", *expected}


def test_each_metric_says_which_models_and_data_it_fits():
    data = TransformedMNIST("invert")
    points = MixturePairs()
    cycle = CycleGAN(data_shape=(2,), translator=MLPTranslator, discriminator=MLPDiscriminator)
    for part in (data.sources["b"], data.sources["a"]):
        found = kinds(fitting_metrics(part, cycle))
        assert found >= {PairedError, CycleError, LabelFidelity}
        assert (ClassAgreement in found) is (part is data.sources["b"])
    assert kinds(fitting_metrics(points.sources["b"], cycle)) >= {PairedError, LabelFidelity}
    pairs = TransformedMNIST("right_half", paired=True, direction="b_to_a")
    networks = {"generator": torch.nn.Identity(), "discriminator": torch.nn.Identity()}
    found = kinds(fitting_metrics(pairs, Pix2Pix(data_shape=(1, 28, 28), **networks)))
    assert PairedError in found
    assert CycleError not in found
    found = kinds(fitting_metrics(data.sources["b"], CoGAN(data_shape=(1, 28, 28))))
    assert ClassAgreement in found
    assert PairedError not in found
    of_gan = kinds(fitting_metrics(data.sources["b"], GAN(data_shape=(1, 28, 28))))
    assert not of_gan & {PairedError, CycleError, ClassAgreement, LabelFidelity}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_what_can_be_undone_is(name):
    images = torch.randint(256, (5, 1, 28, 28), dtype=torch.uint8)
    made = TRANSFORMS[name](images)
    undo = undoing(name, (-1.0, 1.0))
    assert (undo is not None) is (name in ("invert", "rotate", "mirror", "colour"))
    if undo is not None:
        back = undo(made.float() / 255 * 2 - 1)
        torch.testing.assert_close(back, images.float() / 255 * 2 - 1, rtol=0, atol=1e-6)
