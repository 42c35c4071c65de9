"""What computes, as torch names it (``cpu``, ``cuda``): whether it is there, and what it can do."""

import torch

from models.errors import Code, ModelError


def require(device: str) -> None:
    """Raise ModelError (DEVICE-MISSING) where torch does not see the device."""
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ModelError(
            Code.DEVICE_MISSING,
            f"models.device is {device}, but PyTorch {torch.__version__} sees no graphics card; install "
            "NVIDIA's driver and a CUDA build of PyTorch (docs/install.md), or set models.device: cpu",
        )


def computes_bfloat16(device: str) -> bool:
    """Tell whether a device has instructions for bfloat16; without them it is slow."""
    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return any(bool(capabilities.get(name)) for name in ("avx512_bf16", "amx_bf16"))
