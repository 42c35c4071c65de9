"""MedSAM and SAM-Med2D: preprocessing, coordinates and upsampling of their own, pinned step by step."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skimage.transform import resize

from models.contracts import Point, VisualPrompt
from models.errors import Code, ModelError
from models.segmenters.medsam import MedSam
from models.segmenters.sam import Sam
from models.segmenters.sam_med2d import SamMed2d
from models.segmenters.vit import MEAN, STD
from tests.models.segmenters.small import noise, small, upstream

BOX = (3.0, 5.0, 30.0, 33.0)


@pytest.fixture(scope="module")
def medsam() -> MedSam:
    made = small(MedSam)
    assert isinstance(made, MedSam)
    return made


@pytest.fixture(scope="module")
def sam_med2d() -> SamMed2d:
    made = small(SamMed2d, side=64)
    assert isinstance(made, SamMed2d)
    return made


@pytest.mark.parametrize("size", [(40, 60), (300, 201)])
def test_medsam_answers_as_its_published_inference_does(medsam: MedSam, size: tuple[int, int]) -> None:
    """Stretched, min-max, no mean and deviation; probabilities, not logits, go back to the image's size."""
    image = noise(*size)
    levels = resize(image, (128, 128), order=3, preserve_range=True, anti_aliasing=True).astype(np.uint8)
    scaled = (levels - levels.min()) / (levels.max() - levels.min())
    embedding = medsam.image_encoder(torch.tensor(scaled).float().permute(2, 0, 1)[None])
    assert torch.allclose(medsam.embed(image), embedding[0], atol=1e-6)
    box = torch.tensor(BOX) / torch.tensor([size[1], size[0]] * 2) * 128
    sparse, dense = medsam.prompt_encoder(points=None, boxes=box[None, None], masks=None)
    logits, _ = medsam.mask_decoder(embedding, medsam.prompt_encoder.get_dense_pe(), sparse, dense, False)
    expected = F.interpolate(logits.sigmoid(), size, mode="bilinear", align_corners=False)[0, 0]
    candidates = medsam.decode(medsam.embed(image), size, [VisualPrompt(BOX)])
    assert np.allclose(candidates.probability[0, 0], expected.numpy(), atol=1e-5)


def test_medsam_weights_in_sams_place_would_see_another_image(medsam: MedSam) -> None:
    """Feeding them to the stock predictor silently uses the wrong normalisation: hence a class of its own."""
    image = noise(40, 60)
    as_sam = Sam.__new__(Sam)
    torch.nn.Module.__init__(as_sam)
    as_sam.side = medsam.side
    own, other = medsam.preprocess(image), as_sam.preprocess(image)
    assert own.shape == other.shape
    assert 0.0 <= own.min() < own.max() <= 1.0
    assert other.min() < -1.0
    assert own[:, -1].abs().max() > 0.0  # filled to the last row, where SAM pads
    assert other[:, -1].abs().max() == 0.0


def test_medsam_makes_zeros_of_a_constant_image(medsam: MedSam) -> None:
    assert medsam.preprocess(np.full((9, 12, 3), 77, np.uint8)).abs().max() == 0.0


@pytest.mark.parametrize(
    "prompt", [VisualPrompt(points=(Point(1, 2),)), VisualPrompt(), VisualPrompt(BOX, (Point(1, 2),))]
)
def test_medsam_refuses_everything_but_boxes(medsam: MedSam, prompt: VisualPrompt) -> None:
    with pytest.raises(ModelError, match="MedSAM understands boxes only") as caught:
        medsam.decode(torch.zeros(256, 8, 8), (40, 60), [prompt])
    assert caught.value.code == Code.PROMPT_KIND_UNSUPPORTED


def test_medsam_has_sams_names_and_shapes() -> None:
    with torch.device("meta"):
        own, published = MedSam().state_dict(), Sam("vit_b").state_dict()
    assert {n: v.shape for n, v in own.items()} == {n: v.shape for n, v in published.items()}


def test_sam_med2d_sees_nearest_pixels_normalised_on_the_whole_square(sam_med2d: SamMed2d) -> None:
    image = noise(40, 101)
    pixels = sam_med2d.preprocess(image)
    assert pixels.shape == (3, 64, 64)
    for row, column in [(0, 0), (63, 63), (10, 50)]:
        source = image[row * 40 // 64, column * 101 // 64]
        expected = (source - np.array(MEAN)) / np.array(STD)
        assert np.allclose(pixels[:, row, column], expected, atol=1e-5)


def test_sam_med2d_scales_prompts_per_axis(sam_med2d: SamMed2d) -> None:
    """The object at the same share of both sides gets the same answer, whatever the shape of the image."""
    square, wide = noise(64, 64), np.repeat(noise(64, 64), 3, axis=1)
    assert torch.equal(sam_med2d.embed(square), sam_med2d.embed(wide))
    box, wider = (8.0, 16.0, 40.0, 48.0), (24.0, 16.0, 120.0, 48.0)
    one = sam_med2d.decode(sam_med2d.embed(square), (64, 64), [VisualPrompt(box)], True)
    other = sam_med2d.decode(sam_med2d.embed(wide), (64, 192), [VisualPrompt(wider)], True)
    assert np.allclose(one.quality, other.quality, atol=1e-6)
    assert np.array_equal(one.probability.shape, (1, 3, 64, 64))


def test_sam_med2d_without_what_its_adapters_add_is_sam(sam_med2d: SamMed2d) -> None:
    """With the adapters' last norm at zero the blocks are segment_anything's own, windows and all."""
    plain, adapted = small(Sam, side=64), small(SamMed2d, side=64)
    for block in adapted.image_encoder.blocks:
        block.Adapter.norm.weight.zero_()
        block.Adapter.norm.bias.zero_()
    own = {name: value for name, value in adapted.state_dict().items() if ".Adapter." not in name}
    plain.load_state_dict(own, strict=True)
    pixels = torch.randn(1, 3, 64, 64)
    assert torch.equal(adapted.image_encoder(pixels), plain.image_encoder(pixels))
    assert not torch.equal(sam_med2d.image_encoder(pixels), plain.image_encoder(pixels))


def test_an_adapter_gates_channels_mixes_neighbours_and_normalises(sam_med2d: SamMed2d) -> None:
    """Against the formula: norm(x + relu(deconvolve(relu(convolve(sigmoid(W2 relu(W1 mean(x))) * x)))))."""
    adapter = sam_med2d.image_encoder.blocks[0].Adapter
    tokens = torch.randn(2, 4, 4, 32)
    state = adapter.state_dict()
    gate = (
        (tokens.mean((1, 2)) @ state["channel.0.weight"].T).relu() @ state["channel.2.weight"].T
    ).sigmoid()
    image = tokens.permute(0, 3, 1, 2) * gate[:, :, None, None]
    image = F.conv2d(image, state["spatial.0.weight"], stride=2, padding=1).relu()
    image = F.conv_transpose2d(image, state["spatial.2.weight"], stride=2, padding=1).relu()
    expected = F.layer_norm(
        tokens + image.permute(0, 2, 3, 1), (32,), state["norm.weight"], state["norm.bias"]
    )
    assert torch.allclose(adapter(tokens), expected, atol=1e-5)


def test_sam_med2d_has_an_adapter_in_every_block_under_the_published_names() -> None:
    with torch.device("meta"):
        own, plain = SamMed2d().state_dict(), upstream(Sam("vit_b", side=256)).state_dict()
    added = {name: tuple(value.shape) for name, value in own.items() if name not in plain}
    assert all(own[name].shape == value.shape for name, value in plain.items())
    parts = ("norm.weight", "norm.bias", "channel.0.weight", "channel.2.weight")
    parts += ("spatial.0.weight", "spatial.2.weight")
    one = "image_encoder.blocks.{}.Adapter."
    assert set(added) == {one.format(block) + part for block in range(12) for part in parts}
    assert added[one.format(11) + "channel.0.weight"] == (192, 768)
    assert added[one.format(0) + "spatial.2.weight"] == (768, 768, 4, 4)
