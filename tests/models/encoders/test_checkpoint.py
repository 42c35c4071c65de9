"""Weights in files and under other names."""

import pytest
import torch
from safetensors.torch import save_file

from models.encoders.biomedclip import OPEN_CLIP, PORT, BiomedClip
from models.encoders.checkpoint import read_state
from models.errors import Code, ModelError
from tests.models.encoders.random_clip import LetterTokenizer, small_biomedclip


def rebuilt(state) -> BiomedClip:
    encoder = small_biomedclip()
    return BiomedClip.from_state(
        state,
        LetterTokenizer(),
        layer=1,
        vision=encoder.vision.architecture,
        text=encoder.text.architecture,
    )


@pytest.mark.parametrize("names", [OPEN_CLIP, PORT], ids=["open_clip", "port"])
def test_weights_go_out_and_come_back_the_same(names):
    encoder = small_biomedclip()
    again = rebuilt(encoder.state(names))
    for ours, theirs in ((encoder.vision, again.vision), (encoder.text, again.text)):
        assert ours.state_dict().keys() == theirs.state_dict().keys()
        assert all(torch.equal(v, theirs.state_dict()[k]) for k, v in ours.state_dict().items())
    assert again.scale == pytest.approx(encoder.scale)


@pytest.mark.parametrize("names", [OPEN_CLIP, PORT], ids=["open_clip", "port"])
def test_a_message_names_what_is_missing_and_what_is_unexpected(names):
    state = small_biomedclip().state(names)
    lost = next(name for name in state if "norm" in name)
    del state[lost]
    state["adapter.weight"] = torch.zeros(1)
    with pytest.raises(ModelError) as refused:
        rebuilt(state)
    assert refused.value.code == Code.BUNDLE_INVALID
    assert f"missing: {lost}" in refused.value.message
    assert "unexpected: adapter.weight" in refused.value.message


def test_a_message_names_a_weight_of_another_shape():
    state = small_biomedclip().state(OPEN_CLIP)
    state["visual.head.proj.weight"] = torch.zeros(7, 32)
    with pytest.raises(ModelError, match=r"visual.head.proj.weight \(7, 32\) instead of \(512, 32\)"):
        rebuilt(state)


def test_a_message_about_another_model_stays_short():
    with pytest.raises(ModelError, match="more") as refused:
        rebuilt({f"layer.{n}.weight": torch.zeros(1) for n in range(500)})
    assert len(refused.value.message) < 1000


def test_a_pooler_that_the_tower_does_not_read_is_not_overlooked():
    """The first upload of BiomedCLIP has one; what it was for must be settled by who brings that file."""
    state = small_biomedclip().state(OPEN_CLIP)
    state["text.transformer.pooler.dense.weight"] = torch.zeros(32, 32)
    with pytest.raises(ModelError, match="pooler"):
        rebuilt(state)


def test_numbers_that_are_no_weights_are_passed_over():
    state = small_biomedclip().state(OPEN_CLIP)
    state["text.transformer.embeddings.position_ids"] = torch.arange(512)[None]
    assert rebuilt(state).scale == pytest.approx(85.2)


def test_half_precision_becomes_float32():
    state = {name: values.half() for name, values in small_biomedclip().state(PORT).items()}
    encoder = rebuilt(state)
    assert {values.dtype for values in encoder.vision.parameters()} == {torch.float32}


@pytest.mark.parametrize("name", ["weights.safetensors", "open_clip_pytorch_model.bin"])
def test_a_file_is_read_by_its_kind(tmp_path, name):
    state = small_biomedclip().state(OPEN_CLIP)
    save = save_file if name.endswith("safetensors") else torch.save
    save(state, tmp_path / name)
    assert read_state(tmp_path / name).keys() == state.keys()


def test_a_training_checkpoint_is_unwrapped(tmp_path):
    state = {f"module.{name}": values for name, values in small_biomedclip().state(OPEN_CLIP).items()}
    torch.save({"epoch": 3, "name": "run", "state_dict": state, "optimizer": {}}, tmp_path / "epoch_3.pt")
    assert rebuilt(read_state(tmp_path / "epoch_3.pt")).depth == 4


class Program:
    """A pickle of this class would run code when it is read."""

    def __reduce__(self):
        return print, ("it ran",)


@pytest.mark.filterwarnings("ignore:.*(torch.jit|TorchScript)")
@pytest.mark.parametrize("kind", ["program", "torchscript", "text", "empty", "list", "safetensors"])
def test_a_file_that_is_not_a_table_of_weights_is_refused_and_not_run(tmp_path, capsys, kind):
    path = tmp_path / ("x.safetensors" if kind == "safetensors" else "x.pt")
    match kind:
        case "program":
            torch.save({"a": Program()}, path)
        case "torchscript":
            with torch.jit.optimized_execution(False):
                torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), path)
        case "list":
            torch.save([torch.zeros(1)], path)
        case _:
            path.write_bytes(b"" if kind == "empty" else b"no weights here")
    with pytest.raises(ModelError) as refused:
        read_state(path)
    assert refused.value.code == Code.BUNDLE_INVALID
    assert "it ran" not in capsys.readouterr().out


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(ModelError) as refused:
        read_state(tmp_path / "none.bin")
    assert refused.value.code == Code.MODEL_MISSING
