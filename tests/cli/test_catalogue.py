"""What is listed without importing PyTorch is what there is."""

import inspect
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import datamodules
from datamodules.stream import StreamData
from lightning_gans import variants
from lightning_gans.cli import catalogue
from lightning_gans.cli.main import main

SCRIPT = Path(sys.executable).parent / "lightning-gans"


def test_every_gan_is_listed_with_its_first_sentence():
    found = catalogue.variants()
    assert found.keys() == set(variants.__all__)
    for name, text in found.items():
        doc = " ".join(inspect.getdoc(getattr(variants, name)).split())
        assert text
        assert doc.replace("`", "").startswith(text)


def test_every_data_module_is_listed():
    def is_whole(cls):
        parts = (getattr(cls, name, None) for name in dir(cls))
        return not any(getattr(part, "__isabstractmethod__", False) for part in parts)

    classes = {name: getattr(datamodules, name) for name in datamodules.__all__}
    served = {name for name, cls in classes.items() if issubclass(cls, StreamData)}
    assert catalogue.data().keys() == {name for name in served if is_whole(classes[name])}
    assert all(catalogue.data().values())


def test_every_configuration_is_listed_and_found_by_name(monkeypatch, tmp_path):
    stems = {path.stem for path in catalogue.configs_folder().glob("*.yaml")}
    assert catalogue.configs().keys() == stems - {"default"}
    assert all(catalogue.configs().values())
    assert catalogue.config_path("gan_ring") == catalogue.configs_folder() / "gan_ring.yaml"
    assert catalogue.config_path("configs/gan_ring.yaml") == catalogue.config_path("gan_ring")
    assert catalogue.config_path("default") == Path("default")
    Path("gan_ring").write_text("own")
    assert catalogue.config_path("gan_ring") == Path("gan_ring")


@pytest.mark.parametrize("command", [["--help"], [], ["list"], ["sample", "--help"]])
def test_help_and_lists_do_not_wait_for_pytorch(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([SCRIPT, *command], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # By the CPU: on a busy machine the clock tells of others, too.
    assert after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime < 1
    assert done.stderr == ""
    code = f"import sys; from lightning_gans.cli.main import main\ntry: main({command})\n"
    code += "except SystemExit: pass\nassert not {'torch', 'lightning', 'yaml'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_the_list_has_a_line_for_each(capsys):
    main(["list"])
    lines = capsys.readouterr().out.splitlines()
    for entries in (catalogue.variants(), catalogue.data(), catalogue.configs()):
        column = max(24, *map(len, entries))
        for name, text in entries.items():
            assert f"  {name:<{column}}  {text}" in lines


def test_help_names_every_command(capsys):
    main([])
    printed = capsys.readouterr().out
    first = ("fit", "validate", "test", "predict", "prepare", "compare", "sample", "interpolate")
    others = ("translate", "encode", "reconstruct", "fork", "evaluate", "export", "diff", "list")
    for name in (*first, *others, "completion"):
        assert f"    {name} " in printed or f"    {name}\n" in printed


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_commands_flags_and_names(shell, capsys):
    main(["completion", shell])
    script = capsys.readouterr().out
    for word in ("interpolate", "--ckpt_path", "wgan_gp_ring_tuned", "WDCGANGP", "GaussianRing"):
        assert word in script
    if shell == "bash":
        code = ""
        for words in ("lightning-gans sam", "lightning-gans compare lsgan_r"):
            number = words.count(" ")
            code += f"COMP_WORDS=({words}); COMP_CWORD={number}; _shtab_lightning_gans\n"
            code += 'echo "${COMPREPLY[@]}"\n'
        done = subprocess.run(
            ["bash", "-c", script + code], capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == ["sample", "lsgan_ring"]


def test_fit_without_anything_is_the_demo(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["fit", "--print_config"])
    assert stopped.value.code == 0
    found = yaml.safe_load(capsys.readouterr().out)
    demo = yaml.safe_load(catalogue.config_path("wgan_gp_ring_tuned").read_text())
    assert found["trainer"]["max_steps"] == demo["trainer"]["max_steps"]
    assert found["model"]["init_args"]["penalty"]["init_args"]["weight"] == 0.1
