"""Members as files: the parameters of one checkpoint without the optimizer, in half precision, no pickle.

A network that nnU-Net builds names many tensors twice (its decoder holds its encoder); ``named_parameters``
names each once. Instance normalisation keeps no running statistics, so parameters are all there is.
"""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from models.errors import Code, ModelError


def parameters_of(network: nn.Module) -> dict[str, Tensor]:
    """Return every parameter once, float16, on the CPU."""
    return {name: value.detach().half().cpu().contiguous() for name, value in network.named_parameters()}


def write_member(path: Path, network: nn.Module) -> None:
    """Write a member, whole or not at all. OSError when there is no room for it."""
    replace_bytes(path, save(parameters_of(network)))


def replace_bytes(path: Path, content: bytes) -> None:
    """Put a file into its place in one step, so that a reader sees all of it or the one before."""
    part = path.with_suffix(".part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_member(path: Path) -> dict[str, Tensor]:
    """Return the parameters of a member by name, float16.

    Raises ModelError: MODEL-MISSING where there is no such file, MEMBER-INVALID where it is damaged.
    """
    try:
        return load_file(path)
    except FileNotFoundError as error:
        message = f"{path}: this member of the ensemble is missing; install the ensemble again"
        raise ModelError(Code.MODEL_MISSING, message) from error
    except (SafetensorError, OSError) as error:
        message = f"{path}: not a readable safetensors file ({error}); install the ensemble again"
        raise ModelError(Code.MEMBER_INVALID, message) from error
