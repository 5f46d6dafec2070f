"""What codes tell of classes: information, matches, floors and ceilings."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch.testing import assert_close

from lightning_gans.core.priors import CodePrior, NormalPrior
from lightning_gans.metrics import (
    CodeInformation,
    LabelFidelity,
    better,
    fitting_metrics,
    matched_share,
    mode_reader,
    mutual_information,
)

DOUBLE = torch.float64


def first_entry(samples):
    return samples[:, 0].long()


def scored(asked, found):
    """The scores of samples that are of the classes ``found``."""
    metric = CodeInformation(first_entry)
    metric.observe({"fake": found[:, None].float(), "asked": tuple(asked.T)}, real=False)
    return {name: value.item() for name, value in metric.compute().items()}


@pytest.mark.parametrize(
    ("counts", "information", "matched"),
    [
        ([[5, 0], [0, 5]], math.log(2), 1.0),
        ([[0, 5], [5, 0]], math.log(2), 1.0),  # which value is which class is of no account
        ([[4, 4], [1, 1]], 0.0, 0.5),
        # Two classes on one value: half of the value's samples are matched.
        ([[2, 2, 0], [0, 0, 4]], math.log(2), 0.75),
        # By the definition: the sum of p ln(p / (row p x column p)).
        (
            [[3, 1], [1, 3]],
            2 * (3 / 8 * math.log(1.5) + 1 / 8 * math.log(0.5)),
            0.75,
        ),
        # To give every row its largest entry would match the first column twice: 0.7.
        ([[5, 4], [2, 0]], None, 6 / 11),
    ],
)
def test_by_hand(counts, information, matched):
    counts = torch.tensor(counts)
    if information is not None:
        expected = torch.tensor(information, dtype=DOUBLE)
        assert_close(mutual_information(counts), expected, rtol=0, atol=1e-14)
    assert matched_share(counts).item() == pytest.approx(matched, abs=1e-15)


def test_ten_codes_that_are_the_classes_in_another_order():
    classes = torch.arange(10).repeat(50)
    order = torch.randperm(10)
    scores = scored(order[classes][:, None], classes)
    assert scores["code_mi"] == pytest.approx(2.302585093, abs=1e-9)
    assert scores["code_matched"] == 1


def test_independent_codes_are_at_the_floor():
    generator = torch.Generator().manual_seed(0)
    draws = [torch.randint(10, (2, 10_000), generator=generator) for _ in range(20)]
    found = [scored(code[:, None], classes) for code, classes in draws]
    information = sum(scores["code_mi"] for scores in found) / len(found)
    # Twice n times the information is about chi squared with 81 degrees of freedom.
    assert information == pytest.approx(81 / 20_000, rel=0.1)
    matched = sum(scores["code_matched"] for scores in found) / len(found)
    assert 0.1 < matched < 0.12


def test_a_code_that_is_read_well_but_tells_no_class_scores_nothing():
    """The samples show their code perfectly: in an entry that no class depends on."""
    code, classes = torch.randint(2, (2, 4000))
    samples = torch.stack([classes, code], 1).float()
    metric = CodeInformation(first_entry)
    metric.update(samples, code[:, None])
    assert torch.equal(samples[:, 1].long(), code)
    assert metric.compute()["code_mi"] < 0.002


def test_of_several_codes_the_one_with_most_information_counts():
    classes = torch.arange(4).repeat(100)
    useless = torch.arange(400) // 4 % 2
    half = classes // 2
    scores = scored(torch.stack([useless, half], 1), classes)
    assert scores["code_mi"] == pytest.approx(math.log(2), abs=1e-9)
    assert scores["code_matched"] == 0.5


def test_where_a_sample_has_no_class_nothing_is_told():
    metric = CodeInformation(mode_reader(torch.eye(2)))
    metric.update(torch.tensor([[0.9, 0.0], [0.0, float("nan")]]), torch.tensor([[0], [0]]))
    assert all(score.isnan() for score in metric.compute().values())
    assert metric.compute().keys() == {"code_mi", "code_matched"}
    without = CodeInformation(mode_reader(torch.eye(2)))
    without.update(torch.full((2, 2), float("nan")), torch.zeros(2, 0, dtype=torch.int64))
    assert without.compute() == {}


def test_batches_and_processes_add_up():
    code, classes = torch.randint(3, (2, 300))
    whole, parts = CodeInformation(first_entry), CodeInformation(first_entry)
    whole.update(classes[:, None].float(), code[:, None])
    for part in torch.arange(300).split(70):
        parts.update(classes[part, None].float(), code[part, None])
    assert whole.compute() == parts.compute()


def test_real_samples_have_their_labels_as_codes_and_without_labels_no_score():
    labels = torch.tensor([0, 1, 2, 2])
    read_as = torch.tensor([0, 1, 2, 1])  # the reader is mistaken once
    metric = CodeInformation(first_entry)
    record = {"real": read_as[:, None].float(), "fake": read_as[:, None].float()}
    for real in (True, False):
        metric.observe({**record, "asked": (labels,)}, real=real)
    assert metric.compute()["code_matched"] == 0.75
    metric.reset()
    metric.observe({**record, "asked": ()}, real=False)
    assert metric.compute() == {}


def test_a_model_without_codes_is_refused():
    with pytest.raises(ValueError, match=r"needs a model whose latents have categorical codes"):
        CodeInformation(first_entry).observe({"fake": torch.zeros(2, 1)}, real=False)


def test_it_fits_models_with_categorical_codes_whose_classes_can_be_read():
    digits = SimpleNamespace(content="digits", value_range=(0.0, 1.0))
    ring = SimpleNamespace(modes=torch.eye(2))
    coded = SimpleNamespace(prior=CodePrior(NormalPrior(2), [10]))
    numbers = SimpleNamespace(prior=CodePrior(NormalPrior(2), [], 2))
    plain = SimpleNamespace(prior=NormalPrior(2))

    def fits(data, model):
        return any(isinstance(found, CodeInformation) for found in fitting_metrics(data, model))

    assert fits(digits, coded)
    assert fits(ring, coded)
    assert not any(fits(digits, model) for model in (numbers, plain, None))
    assert not fits(SimpleNamespace(), coded)
    assert not any(isinstance(found, LabelFidelity) for found in fitting_metrics(digits, coded))
    assert better("code_mi") == better("code_matched") == "high"
