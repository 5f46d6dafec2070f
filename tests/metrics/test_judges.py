"""Judges look at a batch once, whichever metrics read it."""

import torch
from conftest import MadeImages
from torch import nn
from torch.testing import assert_close

from lightning_gans.metrics import (
    DigitJudge,
    DigitQuality,
    FeatureCoverage,
    LabelFidelity,
    digit_judge,
    judge_for,
    judge_reader,
)
from lightning_gans.metrics.base import to_unit


def frozen():
    torch.manual_seed(0)
    return DigitJudge().requires_grad_(False).eval()


def looks(judge):
    """Returns a list that grows by the rows of each batch that the judge's layers see."""
    seen = []
    judge.body.register_forward_pre_hook(lambda body, given: seen.append(len(given[0])))
    return seen


def test_metrics_that_share_a_judge_look_at_each_batch_once():
    judge = digit_judge()
    seen = []
    hook = judge.body.register_forward_pre_hook(lambda body, given: seen.append(len(given[0])))
    data = MadeImages()
    data.content = "digits"
    assert judge_for(data) == (judge, "digits")
    quality, labels = DigitQuality(), LabelFidelity(judge_reader(judge, (-1.0, 1.0)))
    coverage = FeatureCoverage(*judge_for(data))
    alone = [DigitJudge(), DigitJudge()]
    for other in alone:
        other.load_state_dict(judge.state_dict())
    expected = []
    try:
        for size in (8, 5):
            real, fake = (torch.rand(size, 1, 28, 28) * 2 - 1 for _ in range(2))
            classes = torch.zeros(size, dtype=torch.int64)
            record = {"real": real, "fake": fake, "labels": classes}
            for metric in (quality, labels, coverage):
                for is_real in (True, False):
                    metric.observe(record, real=is_real)
            features, logits = alone[0].eval()(to_unit(fake, (-1, 1)))
            expected.append((features, logits.argmax(1) == 0))
    finally:
        hook.remove()
    assert seen == [8, 8, 5, 5]
    assert_close(torch.cat(coverage.fake), torch.cat([features for features, _ in expected]))
    hits = torch.cat([hit for _, hit in expected])
    assert float(labels.compute()["label_fidelity"]) == float(hits.double().mean())


def test_images_that_change_are_looked_at_again():
    judge, images = frozen(), torch.rand(3, 1, 28, 28)
    seen = looks(judge)
    before = judge(images)[0]
    assert judge(images.clone())[0] is before
    images.mul_(0.5)
    after = judge(images)[0]
    assert seen == [3, 3]
    assert not torch.equal(before, after)
    assert_close(after, judge.judge(images)[0])
    assert judge(2 * images)[0] is before  # exact: halves are
    assert judge(images[:2])[0].shape == (2, 64)
    assert seen == [3, 3, 3, 2]


def test_a_judge_forgets_all_but_four_batches():
    judge = frozen()
    batches = [torch.full((1, 1, 28, 28), value / 8) for value in range(5)]
    seen = looks(judge)
    for batch in batches:
        judge(batch)
    for batch in reversed(batches[1:]):
        judge(batch)
    assert len(seen) == 5
    judge(batches[0])
    assert len(seen) == 6


def test_other_weights_give_other_features():
    judge, images = frozen(), torch.rand(3, 1, 28, 28)
    before = judge(images)[0]
    torch.manual_seed(1)
    judge.load_state_dict(DigitJudge().state_dict())
    assert not torch.equal(judge(images)[0], before)


def test_a_judge_that_is_trained_remembers_nothing():
    images = torch.rand(4, 1, 28, 28)
    judge = DigitJudge()
    seen = looks(judge)
    for _ in range(2):
        judge(images)[1].sum().backward()
    judge.eval()
    with torch.no_grad():
        before = judge(images)[0]
        for weight in judge.parameters():
            weight.mul_(1.5)
        assert not torch.equal(judge(images)[0], before)
    judge.requires_grad_(False).train()
    judge(images)
    judge(images)
    assert len(seen) == 6


def test_gradients_by_images_are_those_of_the_layers():
    judge, images = frozen(), torch.rand(2, 1, 28, 28)
    judge(images)
    images.requires_grad_()
    (gradient,) = torch.autograd.grad(judge(images)[1].sum(), images)
    (expected,) = torch.autograd.grad(judge.head(judge.body(images)).sum(), images)
    assert torch.equal(gradient, expected)
    assert gradient.abs().sum() > 0


def test_features_found_in_an_evaluation_may_be_trained_on():
    judge, images = frozen(), torch.rand(2, 1, 28, 28)
    with torch.inference_mode():
        judge(images)
    probe = nn.Linear(64, 1)
    probe(judge(images)[0]).sum().backward()
    assert probe.weight.grad.abs().sum() > 0


def test_a_judge_reads_images_of_its_own_precision():
    judge, images = frozen(), torch.rand(2, 1, 28, 28)
    found = judge(images)[0]
    judge.double()
    assert judge(images.double())[0].dtype == torch.float64
    assert_close(judge(images.double())[0], found.double(), rtol=1e-4, atol=1e-6)
