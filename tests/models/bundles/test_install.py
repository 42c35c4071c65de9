"""Installing published models without a network, from files of the true architecture with random weights."""

import json
import os
import shutil
import socket
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from typer.testing import CliRunner

from app.bundles import model_files
from app.cli import app
from app.config import load_config
from models.bundles import build
from models.bundles.bundle import load_bundle, verify
from models.bundles.files import sha256_of
from models.bundles.install import fetch, install
from models.bundles.known import KNOWN, combinations
from models.encoders import openai_clip
from models.encoders.biomedclip import OPEN_CLIP, BiomedClip
from models.encoders.openai_clip import NAMES, ClipArchitecture, OpenAiClip
from models.errors import Code, ConfigError, ModelError
from models.method import Method
from models.segmenters.sam import Sam
from models.segmenters.sam_med2d import SamMed2d
from tests.models.bundles.published import (
    WITHOUT_HASHES,
    WORDS,
    Tree,
    use_small_models,
    write_biomedclip,
    write_sam,
)
from tests.models.encoders.random_clip import random_biomedclip, randomised
from tests.models.segmenters.small import small
from tests.models.toy import picture


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a network was asked for")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BiomedCLIP and SAM ViT-B under their published names, their weights under their true names."""
    folder = tmp_path_factory.mktemp("published")
    write_biomedclip(folder)
    write_sam(folder)
    return folder


@pytest.fixture
def source(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of these files of one's own, and builders that expect their size."""
    use_small_models(monkeypatch)
    return shutil.copytree(published, tmp_path / "brought-in")


def site(tmp_path: Path, directory: Path) -> Path:
    file = tmp_path / "site.yaml"
    file.write_text(f"models: {{directory: {directory}}}\n")
    return file


def assert_nothing_left(models: Path) -> None:
    assert not models.exists() or list(models.iterdir()) == []


def test_files_become_a_bundle_that_names_licence_source_use_hash_and_origin(
    source: Path, tmp_path: Path
) -> None:
    folder = install("biomedclip-sam", source, tmp_path / "models", WITHOUT_HASHES)
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == [
        "bundle.yaml",
        "encoder.safetensors",
        "segmenter.safetensors",
        "vocab.txt",
    ]
    description = yaml.safe_load((folder / "bundle.yaml").read_text())
    assert (description["encoder"], description["segmenter"]) == ("biomedclip", "sam-vit-b")
    assert "not for diagnosis" in description["intended-use"]
    for entry in description["files"].values():
        assert entry["sha256"] == sha256_of(folder / entry["path"])
        assert entry["origin"] == "unverified"
        assert entry["licence"]
        assert entry["source"]
    published = description["files"]["encoder"]["published-sha256"]
    assert published == sha256_of(source / "open_clip_pytorch_model.bin")
    state = torch.load(source / "sam_vit_b_01ec64.pth", weights_only=True)
    converted = load_file(folder / "segmenter.safetensors")
    assert converted.keys() == state.keys()
    assert all(torch.equal(converted[name], state[name]) for name in state)


def test_an_installed_bundle_takes_an_image_through_the_whole_method(source: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    install("biomedclip-sam", source, models, WITHOUT_HASHES)
    bundle = load_bundle("biomedclip-sam", models)
    assert isinstance(bundle.encoder, BiomedClip)
    assert isinstance(bundle.segmenter, Sam)
    assert {model.name for model in bundle.models} == {"BiomedCLIP", "BiomedCLIP, tokenizer", "SAM ViT-B"}
    assert_segments(Method(bundle), picture(60, 80, [(20, 20, 50, 44)]))


def assert_segments(method: Method, image: np.ndarray) -> None:
    """Every stage has run and its numbers are numbers; random weights find anything or nothing."""
    saliency = method.saliency(image, method.text(["the breast mass"]), 0)
    assert saliency.maps.shape[0] == method.settings.members
    assert np.isfinite(saliency.maps).all()
    vote = method.vote(method.refine(image, method.coarse(image, saliency), 0))
    assert vote.status in {None, Code.NO_COMPONENT, Code.NO_MASK}
    assert vote.mask.shape == image.shape[:2]
    assert 0.0 <= vote.probability.min() <= vote.probability.max() <= 1.0


def test_the_same_files_give_the_same_digest_anywhere(source: Path, tmp_path: Path) -> None:
    digests = set()
    for models in (tmp_path / "one", tmp_path / "other"):
        install("biomedclip-sam", source, models, WITHOUT_HASHES)
        digests.add(load_bundle("biomedclip-sam", models).digest)
    assert len(digests) == 1


def test_a_file_with_the_publishers_hash_is_verified(source: Path, tmp_path: Path) -> None:
    own = sha256_of(source / "sam_vit_b_01ec64.pth")
    known = WITHOUT_HASHES | {"sam": (replace(WITHOUT_HASHES["sam-vit-b"][0], sha256=("0" * 64, own)),)}
    folder = install("biomedclip-sam", source, tmp_path / "models", known)
    files = yaml.safe_load((folder / "bundle.yaml").read_text())["files"]
    assert {role: entry["origin"] for role, entry in files.items()} == {
        "encoder": "unverified",
        "tokenizer": "unverified",
        "segmenter": "verified",
    }


@pytest.mark.parametrize("combination", ["biomedclip-medsam", "biomedclip-litemedsam", "clip-medsam"])
def test_a_file_with_a_published_name_and_another_hash_is_refused(
    source: Path, tmp_path: Path, combination: str
) -> None:
    for name in ("medsam_vit_b.pth", "ViT-B-16.pt"):
        (source / name).write_bytes((source / "sam_vit_b_01ec64.pth").read_bytes())
    (source / "lite_medsam.pth").write_bytes(bytes(39_370_479))
    with pytest.raises(ModelError, match="SHA-256 is") as caught:
        install(combination, source, tmp_path / "models")
    assert caught.value.code == Code.MODEL_HASH_MISMATCH
    assert_nothing_left(tmp_path / "models")


def test_a_file_of_known_size_that_was_not_copied_whole_says_so(source: Path, tmp_path: Path) -> None:
    known = WITHOUT_HASHES | {"sam": (replace(KNOWN["sam-vit-b"][0], sha256=()),)}
    with pytest.raises(ModelError, match="instead of 375042383") as caught:
        install("biomedclip-sam", source, tmp_path / "models", known)
    assert caught.value.code == Code.MODEL_HASH_MISMATCH
    assert_nothing_left(tmp_path / "models")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
@pytest.mark.parametrize("name", ["open_clip_pytorch_model.bin", "sam_vit_b_01ec64.pth"])
def test_a_truncated_file_is_refused_by_name(source: Path, tmp_path: Path, name: str, share: float) -> None:
    whole = (source / name).read_bytes()
    (source / name).write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ModelError, match=name) as caught:
        install("biomedclip-sam", source, tmp_path / "models", WITHOUT_HASHES)
    assert caught.value.code == Code.BUNDLE_INVALID
    assert_nothing_left(tmp_path / "models")


class Malicious:
    """Runs a command when it is unpickled without care."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_pickle_that_would_run_something_is_refused_and_does_not_run(
    source: Path, tmp_path: Path, wrapped: bool
) -> None:
    state = {"image_encoder.pos_embed": torch.zeros(1), "more": Malicious(tmp_path / "ran")}
    torch.save({"model": state} if wrapped else state, source / "sam_vit_b_01ec64.pth")
    with pytest.raises(ModelError, match="refused") as caught:
        install("biomedclip-sam", source, tmp_path / "models", WITHOUT_HASHES)
    assert caught.value.code == Code.BUNDLE_INVALID
    assert "weights_only" not in caught.value.message  # torch's own advice is to load it without care
    assert not (tmp_path / "ran").exists()
    assert_nothing_left(tmp_path / "models")


def test_weights_of_another_model_under_the_name_are_refused(source: Path, tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, source / "sam_vit_b_01ec64.pth")
    with pytest.raises(ModelError, match="do not fit SAM") as caught:
        install("biomedclip-sam", source, tmp_path / "models", WITHOUT_HASHES)
    assert caught.value.code == Code.BUNDLE_INVALID
    assert_nothing_left(tmp_path / "models")


def test_sam_med2d_is_read_out_of_a_checkpoint_with_the_optimizer_as_an_object(
    source: Path, tmp_path: Path
) -> None:
    model = small(SamMed2d, side=256).requires_grad_(True)
    optimizer = torch.optim.Adam(model.parameters())
    sum(values.sum() for values in model.parameters()).backward()
    optimizer.step()
    torch.save({"model": model.state_dict(), "optimizer": optimizer}, source / "sam-med2d_b.pth")
    folder = install("biomedclip-sam-med2d", source, tmp_path / "models", WITHOUT_HASHES)
    assert load_file(folder / "segmenter.safetensors").keys() == model.state_dict().keys()
    assert isinstance(load_bundle(str(folder)).segmenter, SamMed2d)


@pytest.fixture
def scripted(source: Path, monkeypatch: pytest.MonkeyPatch) -> OpenAiClip:
    """CLIP as OpenAI publishes it, a TorchScript archive, with narrow towers."""
    whole = openai_clip.ARCHITECTURES["ViT-B/16"]
    architecture = ClipArchitecture(
        replace(whole.vision, width=48, heads=3, depth=10, embedding=20),
        replace(whole.text, width=32, heads=4, depth=2, embedding=20, vocabulary=49408),
    )
    monkeypatch.setitem(openai_clip.ARCHITECTURES, "narrow", architecture)
    towers = openai_clip.VisionTransformer(architecture.vision), openai_clip.CausalTower(architecture.text)
    for seed, tower in enumerate(towers):
        randomised(tower, seed)
    clip = OpenAiClip(*towers, openai_clip.BytePairTokenizer(), 100.0, 1)
    state = clip.state(NAMES)
    state["transformer.resblocks.0.attn_mask"] = torch.zeros(77, 77)
    with pytest.warns(FutureWarning, match=r"torch\.jit"):
        torch.jit.script(Tree({name: values.half() for name, values in state.items()})).save(
            source / "ViT-B-16.pt"
        )
    return clip


def test_openai_clip_is_read_out_of_its_program_without_running_it(
    scripted: OpenAiClip, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("the program was loaded"))
    folder = install("clip-sam", source, tmp_path / "models", WITHOUT_HASHES)
    encoder = load_bundle(str(folder)).encoder
    assert isinstance(encoder, OpenAiClip)
    prompts = ["the lung", "a mass"]
    assert torch.allclose(encoder.encode_text(prompts), scripted.encode_text(prompts), atol=0.02)


def test_a_program_that_names_anything_but_modules_and_tensors_is_refused(
    scripted: OpenAiClip, source: Path, tmp_path: Path
) -> None:
    import pickle
    import zipfile

    with zipfile.ZipFile(source / "ViT-B-16.pt", "w") as archive:
        archive.writestr("x/constants.pkl", pickle.dumps(()))
        archive.writestr("x/data.pkl", pickle.dumps(Malicious(tmp_path / "ran")))
    with pytest.raises(ModelError, match="refused") as caught:
        install("clip-sam", source, tmp_path / "models", WITHOUT_HASHES)
    assert caught.value.code == Code.BUNDLE_INVALID
    assert not (tmp_path / "ran").exists()


def test_what_is_missing_is_named_with_where_it_comes_from(source: Path, tmp_path: Path) -> None:
    (source / "sam_vit_b_01ec64.pth").unlink()
    with pytest.raises(ModelError, match=r"sam_vit_h_4b8939\.pth .*segment-anything") as caught:
        install("biomedclip-sam", source, tmp_path / "models", WITHOUT_HASHES)
    assert caught.value.code == Code.MODEL_MISSING
    (source / "vocab.txt").unlink()
    with pytest.raises(ModelError, match=r"vocab\.txt nor tokenizer\.json") as caught:
        install("biomedclip-sam", source, tmp_path / "models", WITHOUT_HASHES)
    assert caught.value.code == Code.MODEL_MISSING
    assert_nothing_left(tmp_path / "models")


def test_files_may_lie_one_level_below_but_not_two_under_one_name(source: Path, tmp_path: Path) -> None:
    below = source / "sam"
    below.mkdir()
    (source / "sam_vit_b_01ec64.pth").rename(below / "sam_vit_b_01ec64.pth")
    install("biomedclip-sam", source, tmp_path / "models", WITHOUT_HASHES)
    torch.save({"other": torch.zeros(1)}, source / "sam_vit_b_01ec64.pth")
    with pytest.raises(ModelError, match="different files are called") as caught:
        install("biomedclip-sam", source, tmp_path / "others", WITHOUT_HASHES)
    assert caught.value.code == Code.BUNDLE_INVALID


def test_a_bundle_is_not_installed_over_another(source: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    install("biomedclip-sam", source, models, WITHOUT_HASHES)
    with pytest.raises(ConfigError, match="exists already"):
        install("biomedclip-sam", source, models, WITHOUT_HASHES)


def test_what_a_killed_installation_left_is_no_bundle_and_does_not_disturb(
    source: Path, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    left = models / ".biomedclip-sam.partial"
    left.mkdir(parents=True)
    (left / "bundle.yaml").write_text("files: {}")
    (file,) = {f.bundle for f in model_files(load_config(site=site(tmp_path, models)), "lite")}
    assert file == "lite"
    folder = install("biomedclip-sam", source, models, WITHOUT_HASHES)
    assert list(models.iterdir()) == [folder]


def test_an_altered_bundle_is_refused_when_it_is_opened(source: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    folder = install("biomedclip-sam", source, models, WITHOUT_HASHES)
    with (folder / "segmenter.safetensors").open("r+b") as opened:
        opened.seek(-1, os.SEEK_END)
        opened.write(b"!")
    with pytest.raises(ModelError) as caught:
        verify("biomedclip-sam", models)
    assert caught.value.code == Code.MODEL_HASH_MISMATCH


def test_the_hub_is_only_asked_on_demand_and_offline_says_to_bring_files(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="bring it in by hand") as caught:
        fetch("biomedclip-sam", tmp_path)
    assert caught.value.code == Code.MODEL_MISSING
    assert not list(tmp_path.glob("*.bin"))


def test_without_the_hubs_library_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModelError, match="huggingface_hub is not installed"):
        fetch("biomedclip-sam", tmp_path)


def test_files_that_are_here_are_not_fetched(source: Path) -> None:
    fetch("biomedclip-sam", source)
    assert {path.name for path in source.iterdir()} >= {"open_clip_pytorch_model.bin", "vocab.txt"}


def test_an_unknown_combination_lists_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="biomedclip-sam, ") as caught:
        install("biomedclip-unet", tmp_path, tmp_path / "models")
    assert caught.value.code == Code.USAGE


def test_every_published_model_can_be_built_and_every_hash_is_one() -> None:
    models = [model for several in KNOWN.values() for model in several]
    for model in models:
        assert model.kind in {"encoder": build.ENCODERS, "segmenter": build.SEGMENTERS}[model.part]
        assert all(len(sha256) == 64 and int(sha256, 16) for sha256 in model.sha256)
    hashes = [sha256 for model in set(models) for sha256 in model.sha256]
    assert len(hashes) == len(set(hashes))
    assert {"biomedclip-sam", "biomedclip-medsam", "clip-sam", "biomedclip-sam-med2d"} <= set(combinations())


def test_the_command_installs_lists_and_explains(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.bundles.install.install.__defaults__", (WITHOUT_HASHES,))
    models = tmp_path / "models"
    arguments = ["models", "install", "biomedclip-sam", "--from", str(source), "--into", str(models)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "unverified" in result.output
    listed = CliRunner().invoke(app, ["models", "list", "--json", "--config", str(site(tmp_path, models))])
    files = {file["role"]: file for file in json.loads(listed.stdout) if file["bundle"] == "biomedclip-sam"}
    assert files["segmenter"]["licence"] == "Apache-2.0"
    assert files["segmenter"]["size"] == (models / "biomedclip-sam" / "segmenter.safetensors").stat().st_size
    assert {file["origin"] for file in files.values()} == {"unverified"}
    assert all(
        "not for diagnosis" in file["intended_use"] and file["state"] == "ok" for file in files.values()
    )
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 2
    assert "exists already" in again.output


def test_without_a_folder_to_install_into_the_command_says_which_setting(source: Path) -> None:
    result = CliRunner().invoke(app, ["models", "install", "biomedclip-sam", "--from", str(source)])
    assert result.exit_code == 2
    assert "models.directory" in result.output


@pytest.mark.slow
def test_biomedclip_and_sam_vit_b_of_full_size_go_from_published_files_to_a_mask(tmp_path: Path) -> None:
    source, models = tmp_path / "brought-in", tmp_path / "models"
    source.mkdir()
    torch.save(random_biomedclip().state(OPEN_CLIP), source / "open_clip_pytorch_model.bin")
    filler = [f"[unused{number}]" for number in range(30522 - len(WORDS))]
    (source / "vocab.txt").write_text("\n".join([*WORDS, *filler]) + "\n")
    torch.save(Sam("vit_b").state_dict(), source / "sam_vit_b_01ec64.pth")
    install("biomedclip-sam", source, models, WITHOUT_HASHES)
    bundle = load_bundle("biomedclip-sam", models)
    assert isinstance(bundle.encoder, BiomedClip)
    assert bundle.encoder.depth == 12
    assert_segments(Method(bundle), picture(120, 160, [(40, 40, 100, 88)]))
