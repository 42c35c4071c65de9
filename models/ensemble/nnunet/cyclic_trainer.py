"""The nnU-Net trainer that trains in cycles and keeps members; nnU-Net finds it by ``nnUNet_extTrainer``.

Everything about networks, losses, augmentation and data loading is nnU-Net's own. Different are the learning
rate, what is kept, and that a training that was killed goes on as if it had not been: every epoch draws from
a seed of its own, and the state after each epoch is one file without a pickle.
"""

import json
import logging
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nnunetv2.training.data_augmentation.compute_initial_patch_size import get_patch_size
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from safetensors import safe_open
from safetensors.torch import save

from models.ensemble.members import member_path, write_member
from models.ensemble.recipe import SECTION, Recipe
from models.ensemble.schedule import Cycles, learning_rate, member_epochs
from models.errors import Code, DatasetError
from models.evaluation.files import replace_bytes

logger = logging.getLogger(__name__)

UPRIGHT = np.deg2rad(15.0)
"""The most that an upright image is turned."""

STATE = "state.safetensors"
NETWORK, MOMENTUM = "network/", "momentum/"


class CycleRate:
    """Sets the optimizer's rate by the epoch, as nnU-Net asks for it."""

    def __init__(self, optimizer: torch.optim.Optimizer, plan: Cycles) -> None:
        self.optimizer = optimizer
        self.plan = plan

    def step(self, epoch: int) -> None:
        """Set the rate of ``epoch``."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(epoch, self.plan)


def _nobody(epoch: int, loss: float, dice: float) -> None:
    logger.debug("epoch %d: loss %.4f, Dice %.4f", epoch, loss, dice)


class CyclicTrainer(nnUNetTrainer):  # type: ignore[misc]
    """nnU-Net's trainer with the recipe that the plan carries under :data:`models.ensemble.recipe.SECTION`.

    ``report`` is called after every epoch with its number from 1, the training loss and the Dice on the
    held-back labels.
    """

    def __init__(
        self,
        plans: dict[str, Any],
        configuration: str,
        fold: int,
        dataset_json: dict[str, Any],
        device: torch.device = torch.device("cuda"),  # noqa: B008, nnU-Net's own signature
    ) -> None:
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.recipe = Recipe.read(self.plans_manager.plans[SECTION])
        self.num_epochs = self.recipe.cycles.epochs
        self.num_iterations_per_epoch = self.recipe.iterations
        self.num_val_iterations_per_epoch = self.recipe.validation_iterations
        self.initial_lr = self.recipe.cycles.initial
        self.kept = frozenset(member_epochs(self.recipe.cycles))
        self.report: Callable[[int, float, float], None] = _nobody

    @property
    def folder(self) -> Path:
        """Where state, members and the learning curve lie."""
        return Path(self.output_folder)

    def print_to_log_file(self, *args: object, **_: object) -> None:
        """Log, and never print: the terminal belongs to the progress bar."""
        logger.debug(" ".join(str(value) for value in args))

    def initialize(self) -> None:
        """Build the network from the recipe's seed: a training that is begun again begins the same."""
        torch.manual_seed(self.recipe.seed)
        super().initialize()

    def configure_optimizers(self) -> tuple[torch.optim.Optimizer, CycleRate]:
        """Return nnU-Net's optimizer with the rate of the recipe."""
        optimizer, _ = super().configure_optimizers()
        return optimizer, CycleRate(optimizer, self.recipe.cycles)

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(  # noqa: N802, nnU-Net's own name
        self,
    ) -> tuple[Any, ...]:
        """Return what nnU-Net does to images, less of it where they come upright."""
        rotation, dummy, patch, axes = super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        if self.recipe.upright:
            rotation, axes = (-UPRIGHT, UPRIGHT), (1,)
            patch = get_patch_size(
                self.configuration_manager.patch_size, rotation, rotation, rotation, (0.85, 1.25)
            )
            self.inference_allowed_mirroring_axes = axes
        return rotation, dummy, patch, axes

    def plot_network_architecture(self) -> None:
        """Draw nothing: the plan says it all."""

    def on_train_epoch_start(self) -> None:
        """Begin an epoch from its own seed, whatever was drawn before it."""
        seed = np.random.SeedSequence((self.recipe.seed, self.current_epoch)).generate_state(1)[0]
        random.seed(int(seed))
        np.random.seed(int(seed))  # noqa: NPY002, what nnU-Net's loaders draw from
        torch.manual_seed(int(seed))
        super().on_train_epoch_start()

    def train_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Take one step, in bfloat16 where the recipe says so; nnU-Net has autocast for CUDA alone."""
        if not self.recipe.bf16:
            stepped: dict[str, Any] = super().train_step(batch)
            return stepped
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            output = self.network(batch["data"].to(self.device))
        loss = self.loss([one.float() for one in output], [one.to(self.device) for one in batch["target"]])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 12)
        self.optimizer.step()
        return {"loss": loss.detach().cpu().numpy()}

    def on_epoch_end(self) -> None:
        """Keep the member and the state of an epoch; the curve is drawn when a cycle ends."""
        self.logger.log("epoch_end_timestamps", time.time(), self.current_epoch)
        if self.current_epoch in self.kept:
            path = member_path(self.folder, self.current_epoch + 1)
            path.parent.mkdir(exist_ok=True)
            write_member(path, self.network)
        loss = float(self.logger.get_value("train_losses", step=-1))
        dice = float(self.logger.get_value("mean_fg_dice", step=-1))
        self.current_epoch += 1
        self.write_state()
        if self.current_epoch % self.recipe.cycles.length == 0:
            self.logger.plot_progress_png(self.output_folder)
        self.report(self.current_epoch, loss, dice)

    def on_train_end(self) -> None:
        """Leave everything as the last epoch left it; its state and members are written already."""

    def write_state(self) -> None:
        """Write what the next epoch needs: weights, momentum, the log. OSError when there is no room."""
        tensors = {NETWORK + name: value.detach() for name, value in self.network.named_parameters()}
        for name, value in self.network.named_parameters():
            held = self.optimizer.state.get(value, {}).get("momentum_buffer")
            if held is not None:
                tensors[MOMENTUM + name] = held
        contiguous = {name: value.cpu().contiguous() for name, value in tensors.items()}
        content = {
            "epoch": str(self.current_epoch),
            "recipe": json.dumps(self.recipe.record(), sort_keys=True),
            "log": json.dumps(self.logger.get_checkpoint(), default=float),
        }
        replace_bytes(self.folder / STATE, save(contiguous, content))

    def read_state(self) -> None:
        """Go on where the state in the folder ends; nothing happens where there is none.

        Raises DatasetError (RUN-MISMATCH) when the state comes from another recipe.
        """
        path = self.folder / STATE
        if not path.is_file():
            return
        if not self.was_initialized:
            self.initialize()
        with safe_open(path, framework="pt") as opened:
            content = opened.metadata()
            if json.loads(content["recipe"]) != json.loads(json.dumps(self.recipe.record())):
                raise DatasetError(
                    Code.RUN_MISMATCH,
                    f"{path}: begun with another recipe; give the same options, or another folder",
                )
            names = set(opened.keys())
            with torch.no_grad():
                for name, value in self.network.named_parameters():
                    value.copy_(opened.get_tensor(NETWORK + name))
                    if MOMENTUM + name in names:
                        self.optimizer.state[value]["momentum_buffer"] = opened.get_tensor(
                            MOMENTUM + name
                        ).to(value.device)
        self.logger.load_checkpoint(json.loads(content["log"]))
        self.current_epoch = int(content["epoch"])
