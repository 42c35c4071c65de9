"""nnU-Net's plan: its own where there is time for it, a smaller one where there is not.

nnU-Net plans for the memory of a graphics card. A budget in minutes is another limit: the largest network of
a short list is taken that still sees enough batches before the time is over.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from models.ensemble.recipe import SECTION, Recipe

CONFIGURATION = "2d"

LEAST_ITERATIONS = 1200
"""A network that sees fewer batches than this before the time is over is too large for the budget."""

ALLOWANCE = 1.5
"""Augmentation and the judging of epochs, as a multiple of the network's own time. It is measured again, on
real batches, before the iterations are set."""


@dataclass(frozen=True)
class Size:
    """What a plan may cost: the longer side of an image, features per stage, images per batch.

    ``features`` None leaves network and batch as nnU-Net plans them. ``residual``: nnU-Net's residual encoder
    in the place of its plain one.
    """

    side: int
    features: tuple[int, ...] | None = None
    batch: int | None = None
    residual: bool = False


_NETWORKS = {False: "PlainConvUNet", True: "ResidualEncoderUNet"}

DEFAULT = Size(256)
"""nnU-Net's own plan at the paper's 256 pixels."""

LADDER = (
    DEFAULT,
    Size(256, (16, 32, 64, 128, 128, 128), 8),
    Size(192, (16, 32, 48, 64, 64), 8),
    Size(160, (16, 32, 48, 64, 64), 8),
    Size(128, (8, 16, 32, 48, 48), 8),
)
"""From the largest to the smallest plan that a budget chooses from."""


def sized(plans: Mapping[str, Any], size: Size, recipe: Recipe) -> dict[str, Any]:
    """Return nnU-Net's plans with the network of ``size`` in their 2-D configuration, and the recipe.

    The patch holds a whole framed image, so that one pass sees all of it.
    """
    chosen = dict(plans["configurations"][CONFIGURATION])
    if size.features is not None and size.batch is not None:
        stages = len(size.features)
        divisor = 2 ** (stages - 1)
        patch = -(-size.side // divisor) * divisor
        network = {
            **chosen["architecture"]["arch_kwargs"],
            "n_stages": stages,
            "features_per_stage": list(size.features),
            "kernel_sizes": [[3, 3]] * stages,
            "strides": [[1, 1]] + [[2, 2]] * (stages - 1),
            "n_conv_per_stage": [2] * stages,
            "n_conv_per_stage_decoder": [2] * (stages - 1),
        }
        if size.residual:
            network["n_blocks_per_stage"] = network.pop("n_conv_per_stage")
        name = f"dynamic_network_architectures.architectures.unet.{_NETWORKS[size.residual]}"
        architecture = {**chosen["architecture"], "network_class_name": name, "arch_kwargs": network}
        chosen |= {"patch_size": [patch, patch], "batch_size": size.batch, "architecture": architecture}
    return {**plans, "configurations": {CONFIGURATION: chosen}, SECTION: recipe.record()}


def network_of(plans: Mapping[str, Any], deep_supervision: bool = False) -> nn.Module:
    """Return the network of plans with one grey channel and two classes, untrained."""
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    architecture = plans["configurations"][CONFIGURATION]["architecture"]
    network: nn.Module = get_network_from_plans(
        architecture["network_class_name"],
        architecture["arch_kwargs"],
        architecture["_kw_requires_import"],
        1,
        2,
        allow_init=True,
        deep_supervision=deep_supervision,
    )
    return network


def seconds_per_step(plans: Mapping[str, Any], bf16: bool, device: str, steps: int = 2) -> float:
    """Return how long one forward and backward pass of a batch takes on a device, after one to warm up."""
    configuration = plans["configurations"][CONFIGURATION]
    network = network_of(plans, deep_supervision=True).train().to(device)
    batch = torch.randn(configuration["batch_size"], 1, *configuration["patch_size"], device=device)
    start = 0.0
    for step in range(steps + 1):
        if step == 1:
            start = time.perf_counter()
        with torch.autocast(batch.device.type, dtype=torch.bfloat16, enabled=bf16):
            outputs: Sequence[torch.Tensor] = network(batch)
        torch.stack([one.float().square().mean() for one in outputs]).sum().backward()
        if batch.is_cuda:  # a graphics card answers before it has computed
            torch.cuda.synchronize()
    return (time.perf_counter() - start) / steps


def fit(plans: Mapping[str, Any], recipe: Recipe, seconds: float, device: str) -> Size:
    """Return the largest size of :data:`LADDER` that sees :data:`LEAST_ITERATIONS` batches in ``seconds``.

    The smallest where none does: then the training takes what it gets.
    """
    for size in LADDER:
        cost = seconds_per_step(sized(plans, size, recipe), recipe.bf16, device) * ALLOWANCE
        if cost * LEAST_ITERATIONS <= seconds:
            return size
    return LADDER[-1]
