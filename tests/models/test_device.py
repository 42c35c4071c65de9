import pytest
import torch

from models.bundles.bundle import load_bundle
from models.device import computes_bfloat16, require
from models.errors import Code, ModelError


@pytest.mark.parametrize(
    ("has", "able"), [({"avx512_bf16": True}, True), ({"amx_bf16": True}, True), ({}, False)]
)
def test_a_processor_computes_bfloat16_where_it_has_instructions_for_it(monkeypatch, has, able):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has)
    assert computes_bfloat16("cpu") is able


@pytest.mark.parametrize("there", [True, False])
def test_a_processor_is_always_there(monkeypatch, there):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    require("cpu")


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_a_graphics_card_that_is_not_there_is_named_with_what_to_do(monkeypatch, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    require(device)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match=f"models.device is {device}.*set models.device: cpu") as error:
        require(device)
    assert error.value.code is Code.DEVICE_MISSING


def test_no_bundle_is_opened_on_a_device_that_is_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError) as error:
        load_bundle("lite", device="cuda")
    assert error.value.code is Code.DEVICE_MISSING
