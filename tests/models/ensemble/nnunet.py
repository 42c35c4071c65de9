"""A tiny network as nnU-Net plans it, random members of it, and nnU-Net's own predictor for comparison."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from torch import Tensor, nn

DATASET = {"channel_names": {"0": "grey"}, "labels": {"background": 0, "target": 1}, "file_ending": ".png"}

TINY: dict[str, Any] = {
    "dataset_name": "Dataset001_Tiny",
    "plans_name": "tiny",
    "configurations": {
        "2d": {
            "patch_size": [32, 32],
            "architecture": {
                "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
                "arch_kwargs": {
                    "n_stages": 2,
                    "features_per_stage": [4, 8],
                    "conv_op": "torch.nn.modules.conv.Conv2d",
                    "kernel_sizes": [[3, 3], [3, 3]],
                    "strides": [[1, 1], [2, 2]],
                    "n_conv_per_stage": [2, 2],
                    "n_conv_per_stage_decoder": [2],
                    "conv_bias": True,
                    "norm_op": "torch.nn.modules.instancenorm.InstanceNorm2d",
                    "norm_op_kwargs": {"eps": 1e-5, "affine": True},
                    "dropout_op": None,
                    "dropout_op_kwargs": None,
                    "nonlin": "torch.nn.LeakyReLU",
                    "nonlin_kwargs": {"inplace": True},
                },
                "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
            },
        }
    },
}
"""Two stages, tiles of 32 x 32."""


def network_of(plans: Mapping[str, Any], seed: int = 0) -> nn.Module:
    """The network of a plan's 2-D configuration with random weights, without deep supervision."""
    architecture = plans["configurations"]["2d"]["architecture"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = get_network_from_plans(
            architecture["network_class_name"],
            architecture["arch_kwargs"],
            architecture["_kw_requires_import"],
            1,
            2,
            deep_supervision=False,
        )
        for layer in network.modules():  # what training changes and random weights leave at 1 and 0
            if isinstance(layer, nn.InstanceNorm2d):
                nn.init.uniform_(layer.weight, 0.5, 2.0)
                nn.init.uniform_(layer.bias, -0.2, 0.2)
    return network.eval()


def member_of(plans: Mapping[str, Any], seed: int) -> dict[str, Tensor]:
    """The parameters of a random network, each under one name, as members are stored."""
    return {name: value.detach() for name, value in network_of(plans, seed).named_parameters()}


class Upstream:
    """nnU-Net's predictor on a device with networks of one plan."""

    def __init__(
        self, plans: Mapping[str, Any], *, mirror: bool = True, step: float = 0.5, device: str = "cpu"
    ) -> None:
        self.predictor = nnUNetPredictor(
            tile_step_size=step,
            use_mirroring=mirror,
            perform_everything_on_device=device != "cpu",
            device=torch.device(device),
            allow_tqdm=False,
        )
        manager = PlansManager(dict(plans))
        self.network = network_of(plans).to(device)
        self.predictor.manual_initialization(
            self.network, manager, manager.get_configuration("2d"), None, DATASET, "nnUNetTrainer", (0, 1)
        )

    def probability(
        self, slices: Sequence[Tensor], parameters: Sequence[Mapping[str, Tensor]]
    ) -> list[Tensor]:
        """Foreground probability (H, W) of each slice (C, H, W) by one run with these checkpoints."""
        self.predictor.list_of_parameters = [self._state(given) for given in parameters]
        return [
            self.predictor.predict_logits_from_preprocessed_data(pixels[:, None])
            .float()
            .softmax(0)[1, 0]
            .cpu()
            for pixels in slices
        ]

    def _state(self, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The same tensors under all the names that the network has for them."""
        first = {id(value): name for name, value in self.network.named_parameters()}
        every = self.network.named_parameters(remove_duplicate=False)
        return {name: parameters[first[id(value)]] for name, value in every}
