"""Reading weights from a file without running anything that the file brings along."""

import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from models.errors import Code, ModelError

StandIns = Mapping[str, Callable[..., object]]
WRAPPERS = ("state_dict", "model")
"""Keys under which training scripts put the weights beside their own state."""


def read_weights(path: Path, stand_ins: StandIns | None = None) -> dict[str, Tensor]:
    """Return the tensors of a ``.safetensors`` file, or of a pickle read with ``weights_only``.

    Where the pickle is a training checkpoint, only its weights are returned.

    Parameters
    ----------
    path
        The file.
    stand_ins
        What to call in place of what the pickle names (``module.Name``): a checkpoint with an optimizer in it
        can be read without that optimizer's code.

    Raises
    ------
    ModelError
        MODEL-MISSING: there is no such file. BUNDLE-INVALID: it is damaged, holds more than weights, or none.
    """
    if not path.is_file():
        raise ModelError(Code.MODEL_MISSING, f"{path}: no such file")
    content = _safetensors(path) if path.suffix == ".safetensors" else _pickled(path, stand_ins or {})
    for wrapper in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    weights = content if isinstance(content, dict) else {}
    if not weights or not all(isinstance(value, Tensor) for value in weights.values()):
        raise ModelError(Code.BUNDLE_INVALID, f"{path}: not weights alone; is it the right file?")
    return {str(name): value.detach() for name, value in weights.items()}


def _safetensors(path: Path) -> object:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(
            Code.BUNDLE_INVALID, f"{path}: not a whole safetensors file ({error}); copy it again"
        ) from error


def _pickled(path: Path, stand_ins: StandIns) -> object:
    allowed: list[Any] = [(stand_in, name) for name, stand_in in stand_ins.items()]
    try:
        with torch.serialization.safe_globals(allowed):
            content: object = torch.load(path, map_location="cpu", weights_only=True)
            return content
    except pickle.UnpicklingError as error:
        message = f"{path}: refused, it holds more than weights or is damaged ({_reason(error)})"
        raise ModelError(Code.BUNDLE_INVALID, message) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        message = f"{path}: not a whole file of weights ({_reason(error)}); copy it again"
        raise ModelError(Code.BUNDLE_INVALID, message) from error


def _reason(error: Exception) -> str:
    """Return what torch found, without its advice to load the file in an unsafe way."""
    text = str(error).rpartition("WeightsUnpickler error:")[2].strip()
    return (text or type(error).__name__).splitlines()[0].partition(". ")[0]
