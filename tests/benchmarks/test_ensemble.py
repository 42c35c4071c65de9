"""A checkpoint ensemble against as many runs of nnU-Net's own predictor: `make benchmark` prints the table.

The network is nnU-Net's default 2-D plan for slices of 512 x 512 (46 million parameters), mirrored as nnU-Net
has it; both sides are warm and read the same members from the same files. Random weights amplify every
rounding, so that the network is first trained for a minute to find what is bright; a member is that network
with a little noise.

Every member and slice costs the same. ``ENSEMBLE_MEMBERS`` and ``ENSEMBLE_SLICES`` say how many are measured:
2 and 3 by themselves, 3 and 16 in `make benchmark`, which may be told 30 and 16 and then takes some hours.
"""

import json
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from nnunetv2.experiment_planning.experiment_planners import default_experiment_planner
from PIL import Image as Pillow
from rich.console import Console
from safetensors.torch import load_file, save_file
from scipy import ndimage
from torch import Tensor, nn

from models.contracts import Image
from models.ensemble.framing import Framing
from models.ensemble.predict import EnsemblePrediction, InferenceSettings, predict
from models.ensemble.record import EnsembleRecord, MemberFile
from models.ensemble.tiles import importance
from models.ensemble.vote import CheckpointEnsemble
from models.settings import EnsembleSettings
from models.uncertainty import THRESHOLD, Agreement
from tests.benchmarks.cost import Cost, measured, show
from tests.benchmarks.test_stages import slice_of_the_abdomen
from tests.models.ensemble.nnunet import DATASET, Upstream, network_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(8 * 3600)]

MEMBERS = int(os.environ.get("ENSEMBLE_MEMBERS", "2"))
SLICES = int(os.environ.get("ENSEMBLE_SLICES", "3"))
ITERATIONS = 60
NOISE = 0.02
"""Of a tensor's own deviation: members differ about the target's border, as checkpoints do."""

SHOWN = 3
"""Every how many-th slice the saliency stage leaves non-empty; of a brain tumour MR volume tried, 9 of 25."""

CORNERS = importance((512, 512)).numpy() < np.finfo(np.float16).smallest_normal
"""Where a weight is a subnormal half, and the last digit of nnU-Net's sum of logits is worth up to 0.05."""

LAST_DIGIT = 0.027
"""What it is worth in one member's probability, if both classes are rounded the other way."""

EXACT, FAST = InferenceSettings((512, 512)), InferenceSettings((512, 512), precision="bf16")


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What nnU-Net plans for 16 grey slices of 512 x 512."""
    raw, prepared = (tmp_path_factory.mktemp(name) / "Dataset001_Slices" for name in ("raw", "preprocessed"))
    for folder in ("imagesTr", "labelsTr"):
        (raw / folder).mkdir(parents=True)
    prepared.mkdir()
    blank = Pillow.fromarray(np.zeros((512, 512), np.uint8))
    for index in range(16):
        blank.save(raw / "imagesTr" / f"{index}_0000.png")
        blank.save(raw / "labelsTr" / f"{index}.png")
    (raw / "dataset.json").write_text(json.dumps({**DATASET, "numTraining": 16}))
    grey = {
        "mean": 0,
        "std": 1,
        "percentile_00_5": -1,
        "percentile_99_5": 1,
        "median": 0,
        "min": -1,
        "max": 1,
    }
    fingerprint = {
        "spacings": [[999, 1, 1]] * 16,
        "shapes_after_crop": [[1, 512, 512]] * 16,
        "median_relative_size_after_cropping": 1.0,
        "foreground_intensity_properties_per_channel": {"0": grey},
    }
    (prepared / "dataset_fingerprint.json").write_text(json.dumps(fingerprint))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(default_experiment_planner, "nnUNet_raw", str(raw.parent))
        patch.setattr(default_experiment_planner, "nnUNet_preprocessed", str(prepared.parent))
        planned: dict[str, Any] = default_experiment_planner.ExperimentPlanner(raw.name).plan_experiment()
    assert tuple(planned["configurations"]["2d"]["patch_size"]) == (512, 512)
    return planned


@pytest.fixture(scope="module")
def images() -> list[Image]:
    """Images (512, 512, 3): one of the abdomen, moved, with noise, without a black border to cut off."""
    grey = slice_of_the_abdomen()[..., 0].astype(np.float32)
    rng = np.random.default_rng(0)
    moved = (np.roll(grey, rng.integers(-60, 60, 2), (0, 1)) for _ in range(SLICES))
    noisy = (one * rng.uniform(0.8, 1.2) + rng.normal(0, 6, one.shape) for one in moved)
    return [np.repeat(one.round().clip(1, 255).astype(np.uint8)[..., None], 3, 2) for one in noisy]


@pytest.fixture(scope="module")
def slices(images: list[Image]) -> list[Tensor]:
    """The same as (1, 512, 512), normalised as for training."""
    grey = (image[..., 0].astype(np.float32) for image in images)
    return [torch.from_numpy((one - one.mean()) / one.std())[None] for one in grey]


def target_of(pixels: Tensor) -> np.ndarray:
    """What the network learns to find in (1, H, W): the brightest large structures, (H, W) bool."""
    smooth = ndimage.gaussian_filter(pixels[0].numpy(), 4)
    return np.asarray(smooth > np.percentile(smooth, 85))


@pytest.fixture(scope="module")
def trained(plans: dict[str, Any], slices: list[Tensor]) -> nn.Module:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = network_of(plans).train().to(device)
    optimiser = torch.optim.AdamW(network.parameters(), 3e-4)
    rng = np.random.default_rng(1)
    targets = [torch.from_numpy(target_of(one)).long() for one in slices]
    for _ in range(ITERATIONS):
        index, top, left = rng.integers(len(slices)), *rng.integers(0, 512 - 256, 2)
        crop = np.s_[top : top + 256, left : left + 256]
        seen, wanted = slices[index][None, :, *crop], targets[index][None, *crop]
        loss = F.cross_entropy(network(seen.to(device)), wanted.to(device))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network.cpu().eval()


@pytest.fixture(scope="module")
def members(trained: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The files of the members."""
    folder, paths = tmp_path_factory.mktemp("members"), []
    for number in range(MEMBERS):
        generator = torch.Generator().manual_seed(number)
        noisy = {
            name: value.detach()
            + NOISE * value.std(correction=0).detach() * torch.randn(value.shape, generator=generator)
            for name, value in trained.named_parameters()
        }
        paths.append(folder / f"{number}.safetensors")
        save_file(noisy, paths[-1])
    return paths


@pytest.fixture(scope="module")
def ensemble(
    plans: dict[str, Any], members: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> CheckpointEnsemble:
    """The members as a bundle has them, seeing all of every image."""
    path = tmp_path_factory.mktemp("ensemble") / "plans.json"
    path.write_text(json.dumps(plans))
    record = EnsembleRecord(
        name="benchmark",
        version="0",
        digest="",
        task="bright structures",
        prompts=frozenset(),
        labels="truth",
        method=None,
        framing=Framing(512),
        plans=path,
        temperature=1.0,
        review=0.5,
        members=tuple(MemberFile(file, number, "") for number, file in enumerate(members, start=1)),
        licence="",
        source="",
    )
    return CheckpointEnsemble(record)


def ours(
    network: nn.Module,
    members: Sequence[Path],
    slices: Sequence[Tensor],
    settings: InferenceSettings,
    device: str = "cpu",
) -> tuple[list[EnsemblePrediction], Cost]:
    given = [partial(load_file, path) for path in members]
    predict(network, given[:1], slices[:1], settings, device=device)  # the first run of anything is slow
    return measured(lambda: predict(network, given, slices, settings, device=device))


def where_something_was_found(
    ensemble: CheckpointEnsemble, images: Sequence[Image], device: str = "cpu"
) -> tuple[dict[int, Agreement], Cost]:
    """The product's own way, with a region on every :data:`SHOWN`-th image: their answers by number."""
    regions = [(0.0, 0.0, 512.0, 512.0) if index % SHOWN == 0 else None for index in range(len(images))]
    settings = EnsembleSettings(precision="bf16")
    ensemble.predict(images[:1], settings, device=device)
    answers, cost = measured(lambda: ensemble.predict(images, settings, regions, device))
    return {index: agreed for index, (agreed, asked) in enumerate(answers) if asked}, cost


def upstreams(
    plans: dict[str, Any], members: Sequence[Path], slices: Sequence[Tensor], device: str = "cpu"
) -> tuple[list[Tensor], Cost]:
    """Mean probability of one run of nnU-Net's predictor per member."""
    upstream = Upstream(plans, device=device)

    def runs() -> list[Tensor]:
        total = [torch.zeros(one.shape[1:]) for one in slices]
        for path in members:
            for index, one in enumerate(upstream.probability(slices, [load_file(path)])):
                total[index] += one / len(members)
        return total

    upstream.probability(slices[:1], [load_file(members[0])])
    return measured(runs)


def agreement(predictions: Sequence[EnsemblePrediction | Agreement], others: Sequence[np.ndarray]) -> float:
    """Share of all pixels on which two sets of masks agree."""
    same = [
        (one.probability > THRESHOLD) == (other > THRESHOLD)
        for one, other in zip(predictions, others, strict=True)
    ]
    return float(np.mean(same))


def test_an_ensemble_at_a_fifth_of_the_cost_of_nnunets_own_runs(
    plans: dict[str, Any],
    trained: nn.Module,
    members: list[Path],
    images: list[Image],
    slices: list[Tensor],
    ensemble: CheckpointEnsemble,
) -> None:
    theirs, cost = upstreams(plans, members, slices)
    expected = [one.numpy() for one in theirs]
    exact, cost_exact = ours(trained, members, slices, EXACT)
    fast, cost_fast = ours(trained, members, slices, FAST)
    some, cost_some = where_something_was_found(ensemble, images)
    rows = {
        f"nnUNetPredictor, {MEMBERS} runs": cost,
        "same precision": cost_exact,
        "bf16": cost_fast,
        f"bf16, {len(some)} slices non-empty": cost_some,
    }
    show(f"{MEMBERS} members, {SLICES} slices of 512 x 512, mirrored", rows)
    apart = np.max([np.abs(one.probability - other) for one, other in zip(exact, expected, strict=True)], 0)
    difference, in_corners = float(apart[~CORNERS].max()), float(apart[CORNERS].max())
    agreeing = agreement(fast, expected)
    ratios = {
        "same precision": cost.processor / cost_exact.processor,
        "bf16": cost.processor / cost_fast.processor,
        "non-empty slices only": cost_fast.processor / cost_some.processor,
        "together": cost.processor / cost_some.processor,
    }
    for name, ratio in ratios.items():
        Console().print(f"{name}: {ratio:.2f} times as fast")
    Console().print(f"largest difference of probabilities at the same precision: {difference:.1e}")
    Console().print(f"the same in the corners, where nnU-Net's sums have few digits: {in_corners:.1e}")
    Console().print(f"share of pixels on which the masks agree in bf16: {agreeing:.5f}")
    assert 0.02 < np.mean([other > THRESHOLD for other in expected]) < 0.5
    assert difference <= 1e-3
    assert in_corners <= max(1e-3, LAST_DIGIT / MEMBERS)
    assert agreeing >= 0.999
    assert list(some) == list(range(0, SLICES, SHOWN))
    assert agreement(list(some.values()), [fast[index].probability for index in some]) >= 0.9999
    assert min(ratios.values()) >= 1
    assert ratios["together"] >= 5


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no graphics card")
def test_the_same_masks_on_a_graphics_card(
    plans: dict[str, Any],
    trained: nn.Module,
    members: list[Path],
    images: list[Image],
    slices: list[Tensor],
    ensemble: CheckpointEnsemble,
) -> None:
    theirs, cost = upstreams(plans, members, slices, "cuda")
    expected = [one.numpy() for one in theirs]
    rows, apart = {f"nnUNetPredictor, {MEMBERS} runs, half precision": cost}, {}
    for name, settings in {"single precision": EXACT, "bf16": FAST}.items():
        found, rows[name] = ours(trained, members, slices, settings, "cuda")
        apart[name] = agreement(found, expected)
    some, cost_some = where_something_was_found(ensemble, images, "cuda")
    rows[f"bf16, {len(some)} slices non-empty"] = cost_some
    show(f"{MEMBERS} members, {SLICES} slices of 512 x 512, {torch.cuda.get_device_name()}", rows)
    for name, share in apart.items():
        Console().print(f"share of pixels on which the masks agree, {name}: {share:.5f}")
    assert min(apart.values()) >= 0.999


def test_memory_does_not_grow_with_the_number_of_members(
    trained: nn.Module, members: list[Path], slices: list[Tensor]
) -> None:
    once = InferenceSettings((512, 512), mirror=False, precision="bf16")
    rows = {}
    for count in (5, 30):
        given = [members[index % len(members)] for index in range(count)]
        _, rows[f"{count} members"] = ours(trained, given, slices[:1], once)
    show("memory, one slice, not mirrored", rows)
    few, many = (cost.memory for cost in rows.values())
    assert many <= 1.05 * few + 20
