import pytest
import torch

from models.ensemble import plan
from models.ensemble.plan import DEFAULT, LADDER, Size, fit, network_of, sized
from models.ensemble.recipe import SECTION, Recipe
from models.ensemble.schedule import Cycles

ARCHITECTURE = {
    "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
    "arch_kwargs": {
        "n_stages": 2, "features_per_stage": [4, 8], "kernel_sizes": [[3, 3]] * 2,
        "strides": [[1, 1], [2, 2]],
        "n_conv_per_stage": [2, 2], "n_conv_per_stage_decoder": [2],
        "conv_op": "torch.nn.modules.conv.Conv2d",
        "conv_bias": True, "norm_op": "torch.nn.modules.instancenorm.InstanceNorm2d",
        "norm_op_kwargs": {"eps": 1e-5, "affine": True}, "dropout_op": None, "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU", "nonlin_kwargs": {"inplace": True},
    },
    "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
}  # fmt: skip
PLANS = {
    "configurations": {
        "2d": {"patch_size": [32, 32], "batch_size": 4, "architecture": ARCHITECTURE},
        "3d_fullres": {},
    }
}


def test_nnunets_own_plan_stays_as_it_is_and_carries_the_recipe():
    plans = sized(PLANS, DEFAULT, Recipe())
    assert plans["configurations"] == {"2d": PLANS["configurations"]["2d"]}
    assert Recipe.read(plans[SECTION]) == Recipe()


@pytest.mark.parametrize("size", LADDER[1:], ids=str)
def test_a_smaller_plan_sees_a_whole_image_in_one_pass(size):
    plans = sized(PLANS, size, Recipe())
    configuration = plans["configurations"]["2d"]
    patch = configuration["patch_size"]
    assert patch[0] == patch[1] >= size.side
    assert patch[0] % 2 ** (len(size.features) - 1) == 0
    assert configuration["batch_size"] == size.batch
    if size.side <= 128:
        with torch.no_grad():
            assert network_of(plans)(torch.zeros(1, 1, *patch)).shape == (1, 2, *patch)


def test_the_largest_plan_is_taken_that_sees_enough_batches(monkeypatch):
    cost = dict(zip(LADDER, (8.0, 4.0, 2.0, 1.0, 0.5), strict=True))
    sizes = iter(LADDER)
    monkeypatch.setattr(plan, "seconds_per_step", lambda *_: cost[next(sizes)])
    enough = plan.LEAST_ITERATIONS * plan.ALLOWANCE
    assert fit(PLANS, Recipe(), 2.5 * enough, "cpu") == LADDER[2]


def test_the_smallest_plan_is_taken_where_none_sees_enough(monkeypatch):
    monkeypatch.setattr(plan, "seconds_per_step", lambda *_: 1000.0)
    assert fit(PLANS, Recipe(), 60.0, "cpu") == LADDER[-1]


def test_a_recipe_is_read_back_as_it_was_recorded():
    recipe = Recipe(Cycles(60, 3, 2, "released"), 40, 5, True, 7)
    assert Recipe.read(recipe.record()) == recipe


def test_a_size_without_features_is_nnunets_own():
    assert Size(256) == DEFAULT
