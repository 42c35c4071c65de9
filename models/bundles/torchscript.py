"""Reading the weights in a TorchScript archive without running the program in it.

OpenAI publishes CLIP only as such archives. One is a zip file: ``data.pkl`` describes the tree of modules,
``data/N`` holds the bytes of a tensor. The description is unpickled with stand-ins for everything it names.
"""

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.errors import Code, ModelError

DTYPES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "BoolStorage": torch.bool,
}


class Module:
    """Stands for a module of the archive: its attributes and nothing to run."""


def is_torchscript(path: Path) -> bool:
    """Tell whether a file is a TorchScript archive."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def read_torchscript(path: Path) -> dict[str, Tensor]:
    """Return every tensor of an archive's modules under its dotted name, buffers and attributes included.

    Raises
    ------
    ModelError
        BUNDLE-INVALID: the archive is damaged, or its description names anything but modules and tensors.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            description = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
            with archive.open(description) as opened:
                root = _Reader(opened, archive, description.removesuffix(".pkl")).load()
        return dict(_tensors(root, ""))
    except pickle.UnpicklingError as error:
        message = f"{path}: refused, it holds more than modules and tensors ({error})"
        raise ModelError(Code.BUNDLE_INVALID, message) from error
    except (zipfile.BadZipFile, StopIteration, KeyError, EOFError, RuntimeError, ValueError) as error:
        message = f"{path}: not a whole TorchScript archive ({error}); copy it again"
        raise ModelError(Code.BUNDLE_INVALID, message) from error


class _Reader(pickle.Unpickler):
    """Unpickles a description; whatever it names is one of the stand-ins below, or it is refused."""

    def __init__(self, opened: Any, archive: zipfile.ZipFile, folder: str) -> None:  # noqa: ANN401 (a file)
        super().__init__(opened)
        self._archive = archive
        self._folder = folder

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 (as in pickle)
        if module == "__torch__" or module.startswith("__torch__."):
            return Module
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        if module == "torch.jit._pickle":
            return _as_it_is
        allowed: dict[tuple[str, str], Callable[..., object]] = {
            ("torch._utils", "_rebuild_tensor_v2"): _view,
            ("collections", "OrderedDict"): OrderedDict,
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return allowed[module, name]

    def persistent_load(self, reference: Any) -> Tensor:  # noqa: ANN401 (as in pickle)
        _, dtype, key, _, count = reference
        content = bytearray(self._archive.read(f"{self._folder}/{key}"))
        return torch.frombuffer(content, dtype=dtype, count=count) if count else torch.empty(0, dtype=dtype)


def _as_it_is(value: object, *_: object) -> object:
    """Stand for the functions that lists are wrapped in to say their type."""
    return value


def _view(storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object) -> Tensor:
    return storage.as_strided(size, stride, offset).contiguous()


def _tensors(value: object, name: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, Module):
        for key, part in vars(value).items():
            yield from _tensors(part, f"{name}.{key}" if name else key)
