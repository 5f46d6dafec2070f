"""Only a closed set of classes can be named by a file, whatever it writes and wherever."""

import inspect
import time

import pytest
import yaml
from attacks import OTHERS, SETTINGS, cases, importable, passes
from hypothesis import given, strategies
from torch import nn

from lightning_gans import augment, networks, variants
from lightning_gans.core.trust import ARGUMENTS, KINDS, Trust, class_path_of, known_classes

MODULES = (networks, augment)
NETWORKS = {
    name for module in MODULES for name in module.__all__ if inspect.isclass(vars(module)[name])
}
REGULARIZERS = {
    *("BalancedConsistency", "Consistency", "DRAGANPenalty", "FeatureMatching"),
    *("GradientPenalty", "LeCam", "MaxGradientPenalty", "OneSidedPenalty", "Orthogonal"),
    *("PathLength", "R1", "R2", "WGANDivPenalty", "ZeroCenteredPenalty"),
}
CLOSED = {
    # The setting asks for a GAN, which games of two kinds of samples are not.
    "model": {n for n in variants.__all__ if issubclass(getattr(variants, n), variants.GAN)},
    "prior": {"CodePrior", "ConstantPrior", "NormalPrior", "UniformPrior"},
    "loss": {
        *(
            "BoundaryEquilibrium",
            "Cramer",
            "EnergyMargin",
            "FDivergence",
            "Fisher",
            "Hinge",
            "LeastSquares",
            "Minimax",
            "NonSaturating",
        ),
        *("MMD", "RelativisticAverage", "RelativisticPaired", "Wasserstein"),
    },
    "penalty": REGULARIZERS,
    "regularizers": REGULARIZERS,
    "optimizer": {
        *("ASGD", "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "GANAdam"),
        *("LBFGS", "Muon", "NAdam", "OptimisticAdam", "PastExtraAdam", "RAdam", "RMSprop"),
        *("Rprop", "SGD", "SparseAdam"),
    },
    "scheduler": {
        *("ChainedScheduler", "ConstantLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts"),
        *("CyclicLR", "ExponentialLR", "LambdaLR", "LinearLR", "MultiStepLR", "MultiplicativeLR"),
        *("OneCycleLR", "PolynomialLR", "ReduceLROnPlateau", "SequentialLR", "StepLR"),
    },
    "callbacks": {
        *("Alarms", "Checkpoint", "Evaluation", "GeneratorEMA", "GeneratorSWA", "Lookahead"),
        *("DeviceStatsMonitor", "EarlyStopping", "LearningRateMonitor", "ModelSummary"),
        *("Pictures", "Progress", "RichModelSummary", "Schedule", "StandingStatistics"),
        "WeightHistograms",
    },
    "logger": {"TensorBoard", "WandB"},
    "metrics": {
        *("ClassAgreement", "ClassDiversity", "ClassFrechet", "ClassifierAccuracy"),
        *("CodeInformation", "CodeMatch", "CodeNeighbours", "CodeStyles", "CriticGap"),
        *("CycleError", "PairedError"),
        *("DigitQuality", "FeatureCoverage"),
        *("FeatureScores", "HistogramDivergence", "InceptionScores", "LabelFidelity"),
        *("ModeCoverage", "ObjectQuality", "PatchWasserstein", "PatternError"),
        *("ReconstructionError", "SlicedWasserstein", "StackedModes", "TrainingNeighbours"),
        "Wasserstein",
    },
    "data": {
        *("ArrayData", "CIFAR10", "FashionMNIST", "GaussianGrid", "GaussianRing", "ImageFolder"),
        *("MNIST", "MixturePairs", "OneZeroPattern", "PacGANGrid", "PacGANRing", "PairedFolder"),
        *("FewLabels", "StackedMNIST", "SwissRoll", "UnpairedFolders"),
        *("SyntheticData", "UniformNoise", "UnpairedSources"),  # the first is their base
        *("TransformedCIFAR10", "TransformedFashionMNIST", "TransformedMNIST"),
    },
}
"""What may be named, written out."""
NEWER: set[str] = set()
"""Optimizers and schedulers that only a PyTorch after 2.14 has."""
HINTS = {**SETTINGS, **OTHERS}


@pytest.fixture(scope="module")
def passed():
    """What passes, by setting and form, of everything that can be imported."""
    trust = Trust()
    assert len(importable()) > 8000
    for kind in KINDS:
        known_classes(kind)
    found = {}
    number, start = 0, time.perf_counter()
    for setting, path, form, value in cases(seed=0, share=0.1):
        number += 1
        if passes(value, HINTS[setting], trust):
            found.setdefault((setting, form), set()).add(path)
    seconds = time.perf_counter() - start
    assert number > 150_000
    assert seconds / number < 1e-4
    return found


def classes_of(paths):
    found = {importable()[path] for path in paths}
    assert all(inspect.isclass(cls) for cls in found)
    return found


@pytest.mark.parametrize("setting", SETTINGS)
def test_only_the_closed_set_of_classes_passes(setting, passed):
    as_mapping = classes_of(passed[setting, "mapping"])
    as_text = classes_of(passed.get((setting, "dotted path"), ()))
    assert as_text <= as_mapping
    names = {cls.__name__ for cls in as_mapping}
    if setting in CLOSED:
        # An older or newer PyTorch has other optimizers and schedulers.
        existing = {path.rpartition(".")[2] for path in importable()}
        assert names - NEWER == CLOSED[setting] & existing
        return
    theirs = {cls for cls in as_mapping if cls.__module__.startswith("torch.nn.modules.")}
    assert {cls.__name__ for cls in as_mapping - theirs} == NETWORKS
    assert all(issubclass(cls, nn.Module) for cls in theirs)
    assert {"Linear", "Conv2d", "LeakyReLU", "BatchNorm1d", "Tanh"} < names
    assert not names & {"Module", "MSELoss", "DataParallel", "ScriptModule", "GradientPenalty"}


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("form", ["JSON", "YAML"])
def test_nothing_passes_as_text_that_is_read_once_more(setting, form, passed):
    assert (setting, form) not in passed


@pytest.mark.parametrize("setting", OTHERS)
def test_nothing_passes_where_no_class_belongs(setting, passed):
    # In the place of text and numbers the parser looks nothing up, in that of anything no path.
    inert = {"text": {"dotted path", "JSON"}, "number": {"dotted path", "JSON"}}
    inert["anything"] = inert["path"] = {"dotted path"}
    assert {form for known, form in passed if known == setting} == inert.get(setting, set())


# By hand


NET = "lightning_gans.networks.MLPGenerator"
DEEP: dict = {}
for _ in range(40):
    DEEP = {"inner": DEEP}


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("scheduler", {"class_path": "lightning.pytorch.cli.instantiate_class"}, "setting: the"),
        ("scheduler", {"class_path": ["os", "system"]}, "is not one of the known subclasses"),
        ("scheduler", {"class_path": None}, "is not one of the known subclasses"),
        ("generator", {"class_path": NET, "dict_kwargs": {"x": 1}}, "a class has no dict_kwargs"),
        ("generator", {"class_path": NET, "init_args": [1]}, "its settings must be a mapping"),
        (
            "generator",
            {"class_path": NET, "init_args": {"activation": "os.getcwd"}},
            r"setting.activation: the file names 'os.getcwd'",
        ),
        (
            "generator",
            {"class_path": NET, "init_args": {"hidden": {"class_path": NET}}},
            "setting.hidden: the file names .* where no class belongs",
        ),
        (
            "generator",
            {"class_path": NET, "init_args": {"no_such": '{"class_path": "os.system"}'}},
            "setting.no_such: the file has settings as text",
        ),
        (
            "scheduler",
            {
                "class_path": "torch.optim.lr_scheduler.LambdaLR",
                "init_args": {"lr_lambda": "math.exp"},
            },
            "setting.lr_lambda: the file names 'math.exp' where no class belongs",
        ),
        (
            "callbacks",
            {
                "class_path": "lightning_gans.callbacks.Checkpoint",
                "init_args": {"dirpath": "/etc"},
            },
            "setting.dirpath: no file may set this. Use --setting.dirpath yourself",
        ),
        (
            "logger",
            {"class_path": "lightning_gans.loggers.WandB", "init_args": {"settings": {"x": 1}}},
            "setting.settings: no file may set this",
        ),
        (
            "logger",
            {"class_path": "lightning_gans.loggers.TensorBoard", "init_args": {"sub_dir": ".."}},
            "setting.sub_dir: no file may set this",
        ),
        (
            "data",
            {"class_path": "datamodules.MNIST", "init_args": {"data_dir": "/no/such/folder"}},
            "setting.data_dir: there is no folder /no/such/folder, which the file names",
        ),
        (
            "data",
            {"class_path": "datamodules.MNIST", "init_args": {"data_dir": "../elsewhere"}},
            "there is no folder ../elsewhere",
        ),
        (
            "generator",
            {"init_args": {"activation": "evil.Net"}},
            "setting: the file has a mapping where none belongs",
        ),
        ("generator", {"activation": "evil.Net"}, "a mapping where none belongs"),
        ("callbacks", [{"init_args": {"x": "evil.Net"}}], "a mapping where none belongs"),
        (
            "activation",
            {
                "class_path": "torch.nn.ModuleDict",
                "init_args": {"modules": {"a": "data://x;base64,aaaa"}},
            },
            "setting.modules.a: the file names 'data://x;base64,aaaa', which is not one of",
        ),
        (
            "activation",
            {"class_path": "torch.nn.ModuleDict", "init_args": {"modules": {"a": "evil.Net"}}},
            "setting.modules.a: the file names 'evil.Net'",
        ),
        # PyYAML stumbles over the time and takes all for text, which the parser does not.
        (
            "anything",
            "{class_path: lightning.pytorch.cli.instantiate_class, init_args: {x: 2020-99-99}}",
            "the file has settings as text",
        ),
        (
            "activation",
            {"class_path": "torch.nn.ParameterDict", "init_args": {"parameters": "{a: 1}"}},
            "setting.parameters: the file has settings as text",
        ),
        ("anything", "a: b", "the file has settings as text"),
        ("anything", "- a", "the file has settings as text"),
        ("generator", ["evil.Net"], "setting: the file has a list where none belongs"),
        ("optimizer", [{"class_path": "os.system"}], "a list where none belongs"),
        ("text", ["a"], "a list where none belongs"),
        ("strategy", "evilcfg", "the file names 'evilcfg'"),
        ("strategy", "deepspeed", "the file names 'deepspeed'"),
        ("strategy", {"init_args": {"x": 1}}, "a mapping where none belongs"),
        ("regularizers", "list.txt", "the file has settings as text"),
        ("list", "list.txt", "the file has settings as text"),
        ("strategy", "lightning.pytorch.strategies.DDPStrategy", "DDPStrategy', .* of Strategy"),
        ("strategy", "DDPStrategy", "which is not one of the known subclasses of Strategy"),
        ("text", "a\x1b[31mb", r"the file has control characters in 'a\\\\x1b"),
        ("table", {"a\nb": 1}, r"setting: the file has a setting 'a\\\\nb'"),
        ("table", {1: 1}, "setting: the file has a setting '1'"),
        ("table", {"__path__": "/etc"}, "setting: the file has a setting '__path__'"),
        ("anything", {"a.class_path": "os.system"}, r"a setting 'a\.class_path'"),
        (
            "model",
            {
                "class_path": "lightning_gans.WGAN",
                "init_args": {"scheduler.class_path": "os.system"},
            },
            r"setting: the file has a setting 'scheduler\.class_path'",
        ),
        ("anything", DEEP, "nested too deeply"),
        ("anything", object(), "the file holds a object, not plain data"),
    ],
)
def test_what_is_refused_is_named(setting, value, message):
    with pytest.raises(ValueError, match=message):
        Trust().check(value, HINTS[setting], "setting")


def test_what_is_allowed_is_built():
    settings = {
        "class_path": "lightning_gans.networks.MLPGenerator",
        "init_args": {
            "hidden": [3],
            "activation": {"class_path": "torch.nn.LeakyReLU", "init_args": {"negative_slope": 0}},
            "output": "torch.nn.Tanh",
        },
    }
    trust = Trust()
    make = trust.build(trust.check(settings, HINTS["generator"], "generator"), HINTS["generator"])
    network = make(2, (4,))
    assert [type(layer).__name__ for layer in network.layers] == [
        *("Linear", "LeakyReLU", "Linear", "Tanh", "Unflatten")
    ]
    assert network.layers[0].out_features == 3
    assert network.layers[1].negative_slope == 0
    settings = [{"class_path": "lightning_gans.regularizers.R1", "init_args": {"weight": 3.0}}]
    (penalty,) = trust.build(
        trust.check(settings, HINTS["regularizers"], "regularizers"), HINTS["regularizers"]
    )
    assert penalty.weight == 3.0
    assert trust.build([2, 3], tuple[int, ...] | None) == (2, 3)


def test_what_is_set_to_nothing_keeps_nothing():
    settings = {
        "class_path": "lightning_gans.networks.DCGANGenerator",
        "init_args": {"normalization": None, "num_classes": None},
    }
    trust = Trust()
    hint = HINTS["generator"]
    checked = trust.check(settings, hint, "generator")
    assert checked == settings
    network = trust.build(checked, hint)(2, (1, 16, 16))
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())


def test_words_that_name_no_class_pass():
    for word in ("auto", "ddp", "ddp_find_unused_parameters_false"):
        assert Trust().check(word, HINTS["strategy"], "strategy") == word


def test_a_class_that_the_user_names_may_be_named_there_only():
    path = "collections.OrderedDict"
    named = Trust(named={("table", path)})
    assert named.find(path, dict, "table").__name__ == "OrderedDict"
    for trust, key, base in (
        (named, "other", dict),
        (named, "table", nn.Module),
        (Trust(), "table", dict),
    ):
        with pytest.raises(ValueError, match=r"the file names 'collections\.OrderedDict'"):
            trust.find(path, base, key)
    assert Trust(["collections"]).find(path, dict).__name__ == "OrderedDict"
    with pytest.raises(ValueError, match="use --import collections"):
        Trust(["collection"]).find(path, dict)


def test_an_element_of_a_list_that_only_the_user_allows_is_the_users_to_add():
    saver = "lightning.pytorch.callbacks.ModelCheckpoint"
    ours = {"class_path": "lightning_gans.callbacks.GeneratorEMA"}
    theirs = {"class_path": saver, "init_args": {"dirpath": "/etc"}}
    named = Trust(named={("setting", saver)})
    assert named.check([ours, theirs], HINTS["callbacks"], "setting") == [ours]
    allowed = Trust(["lightning.pytorch.callbacks"], named={("setting", saver)})
    assert allowed.check([ours, theirs], HINTS["callbacks"], "setting") == [ours, theirs]


@pytest.mark.parametrize(
    "text",
    [
        *("cpu", "a/b.png", "../x", "1e-3", "00:12:00:00", ""),
        *("/home/jo/My data/points (1).npy", "own points.npy", "./Müller/x y.npy"),
    ],
)
def test_words_paths_and_times_pass_as_text(text):
    assert Trust().check(text, HINTS["anything"], "setting") == text


@given(strategies.text("ab1._/+-()~# :,[]{}'\"&*!|>%@`=?\n", max_size=12))
def test_what_passes_as_text_is_no_list_and_no_mapping(text):
    try:
        Trust().check(text, HINTS["anything"], "setting")
        read = yaml.safe_load(text)
    except (ValueError, yaml.YAMLError):
        return
    assert not isinstance(read, list | dict)


def test_the_classes_whose_arguments_are_limited_exist():
    paths = {class_path_of(cls) for kind in KINDS for cls in known_classes(kind)}
    assert ARGUMENTS.keys() <= paths
