"""Every file that the project was asked for is here, or is made by a command that README.md documents."""

from __future__ import annotations

import importlib
import re
import runpy
from pathlib import Path

import pytest
import torch

from seismag.config import load_config

ROOT = Path(__file__).resolve().parents[1]
MODULES = (
    "src/model.py", "src/dataset.py", "src/inference.py", "src/losses.py", "src/transforms.py", "src/utils.py",
    "training/convnext_enhanced.py", "training/augmentations_advanced.py",
)  # fmt: skip
FILES = (
    "scripts/train.py", "scripts/train_loeo.py", "scripts/evaluate.py", "scripts/generate_gradcam.py",
    "scripts/prepare_data.py", "scripts/download_models.py", "training/train_convnext_enhanced.py",
    "training/config_improved.json", "training/evaluate_enhanced_model.py", "training/run_enhanced_training.py",
    "training/README.md", "configs/convnext_tiny.yaml", "configs/loeo_validation.yaml", "requirements.txt", "LICENSE",
)  # fmt: skip
COMMANDS = {  # a file as docs/data-formats.md names it: the command that makes it
    "`MANUSCRIPT_DRAFT.md`": "report",
    "`ABSTRACT.md`": "report",
    "`METHODOLOGY.md`": "report",
    "`MODEL_ARCHITECTURE.md`": "report",
    "`COMPARISON_WITH_OTHER_MODELS.md`": "report",
    "`MCC_ANALYSIS.json`": "report",
    "`TRAINING_REPORT.md`": "report",
    "`figures/NAME.png`": "report",
    "`<method>_convnext_final_results.json`": "crossval",
    "`fold_<k>.json`": "crossval",
    "`models/convnext_loeo_best.pth`": "crossval",
    "`experiments_convnext/<train.run_name>_<YYYYmmdd_HHMMSS>/`": "train",
    "`best_model.pth`": "train",
    "`checkpoint_latest.pth`": "train",
    "`convnext_production_model/best_convnext_model.pth`": "models promote",
}
RUN_NAMES = {  # experiments_convnext/<name>_<time>/
    "convnext_tiny": "configs/convnext_tiny.yaml",
    "exp_v3": "configs/exp_v3.yaml",
    "finetune_v3_gpu": "configs/finetune.yaml",
    "enhanced": "training/config_improved.json",
}


@pytest.mark.parametrize("name", FILES)
def test_the_file_is_here(name: str) -> None:
    assert (ROOT / name).is_file()


@pytest.mark.parametrize("name", MODULES)
def test_the_module_gives_names_of_seismag_and_holds_no_code(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    path = ROOT / name
    if name.startswith("src/"):  # as a notebook in the repository does
        content = vars(importlib.import_module(name.removesuffix(".py").replace("/", ".")))
    else:  # as a script in training/ does
        content = runpy.run_path(str(path))
    assert len(path.read_text().splitlines()) <= 10
    assert content["__all__"]
    for public in content["__all__"]:
        assert content[public].__module__.startswith(("seismag.", "timm."))
        assert content[public].__name__ == public


def test_the_network_of_the_seed_is_built_by_its_old_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    from src.model import ConvNeXtMultiTask, ModelConfig

    model = ConvNeXtMultiTask(ModelConfig(backbone="test_convnext", attention="cbam", azimuth_head="hierarchical"))
    outputs = model(torch.zeros(2, 3, 64, 64))
    assert model.attention is not None
    assert outputs.azimuth.shape == (2, 9)
    assert outputs.cardinal.shape == (2, 4)  # of the hierarchical head alone


@pytest.mark.parametrize(("name", "command"), COMMANDS.items())
def test_the_file_is_made_by_a_documented_command(name: str, command: str) -> None:
    assert name in (ROOT / "docs" / "data-formats.md").read_text()
    assert re.search(rf"^\| `{command}` \|", (ROOT / "README.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize(("run_name", "config"), RUN_NAMES.items())
def test_the_run_folder_is_that_of_a_configuration(run_name: str, config: str) -> None:
    assert load_config(ROOT / config).train.run_name == run_name
