"""Members as files: the parameters of one checkpoint without the optimizer, in half precision, no pickle.

A network that nnU-Net builds names many tensors twice (its decoder holds its encoder); ``named_parameters``
names each once. Instance normalisation keeps no running statistics, so parameters are all there is.
"""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from models.errors import Code, ModelError
from models.evaluation.files import replace_bytes

MEMBERS, STEM = "members", "epoch_"


def parameters_of(network: nn.Module) -> dict[str, Tensor]:
    """Return every parameter once, float16, on the CPU."""
    return {name: value.detach().half().cpu().contiguous() for name, value in network.named_parameters()}


def write_member(path: Path, network: nn.Module) -> None:
    """Write a member, whole or not at all. OSError when there is no room for it."""
    replace_bytes(path, save(parameters_of(network)))


def member_path(folder: Path, epoch: int) -> Path:
    """Return where the member of an epoch (from 1) lies below the folder of a training or an ensemble."""
    return folder / MEMBERS / f"{STEM}{epoch:04}.safetensors"


def members_in(folder: Path) -> dict[int, Path]:
    """Return the members below a folder by their epoch (from 1), in order."""
    paths = sorted((folder / MEMBERS).glob(f"{STEM}*.safetensors"))
    return {int(path.stem.removeprefix(STEM)): path for path in paths}


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
