"""One network whose parameters are exchanged from member to member, and never two members in memory.

On a processor one image at a time in channels-last memory is fastest; there PyTorch's instance normalisation
copies its input twice, which batch normalisation of a single image, the same arithmetic, does not.
"""

import copy
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.errors import Code, ModelError

LoadMember = Callable[[], Mapping[str, Tensor]]
"""Reads the parameters of one member, by name."""


class SingleImageNorm(nn.Module):
    """Instance normalisation that is a batch normalisation where there is one image.

    Parameters
    ----------
    norm
        The layer replaced; its parameters are shared under the same names.
    """

    def __init__(self, norm: nn.InstanceNorm2d) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps

    def forward(self, values: Tensor) -> Tensor:
        """Normalise each channel of each image of (N, C, H, W)."""
        if len(values) == 1:
            return F.batch_norm(values, None, None, self.weight, self.bias, training=True, eps=self.eps)
        return F.instance_norm(values, None, None, self.weight, self.bias, eps=self.eps)


class SwappedNetwork:
    """A network without parameters of its own, that computes with those of one member after the other.

    Parameters
    ----------
    network
        The architecture: maps (N, C, h, w) to logits (N, classes, h, w). It is neither changed nor kept, so
        that it may lie on the ``meta`` device.
    device
        Where members compute.
    dtype
        What weights and activations are: float32 or bfloat16.
    """

    def __init__(self, network: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
        self.device, self.dtype = device, dtype
        self.layout = torch.channels_last if device.type == "cpu" else torch.contiguous_format
        self._network = _without_parameters(network).eval()
        self._names = _names(self._network)

    def load(self, read: LoadMember, member: int) -> None:
        """Let go of the member before, then read another.

        Parameters
        ----------
        read
            Returns the parameters. Of a tensor that the network names several times one name is enough.
        member
            Its number, from 1, for the message.

        Raises
        ------
        ModelError
            MEMBER-INVALID: another architecture's parameters. Whatever ``read`` raises.
        """
        self._network.to("meta")
        given = dict(read())
        state = {}
        for names in self._names:
            present = next((name for name in names if name in given), None)
            if present is None:
                raise _misfit(member, f"{names[0]} is missing")
            value = self._converted(given[present])
            expected = tuple(self._network.get_parameter(names[0]).shape)
            if tuple(value.shape) != expected:
                raise _misfit(member, f"{present} is {tuple(value.shape)} and not {expected}")
            state.update(dict.fromkeys(names, value))
            for name in names:
                given.pop(name, None)
        if given:
            raise _misfit(member, f"{next(iter(given))} belongs to no layer")
        self._network.load_state_dict(state, assign=True)

    def __call__(self, images: Tensor) -> Tensor:
        """Return logits (N, classes, h, w) float32 of images (N, C, h, w), with the member's parameters."""
        with torch.no_grad():
            logits: Tensor = self._network(images.to(self.device, self.dtype, memory_format=self.layout))
        return logits.float()

    def _converted(self, value: Tensor) -> Tensor:
        if value.ndim == 4:
            return value.to(self.device, self.dtype, memory_format=self.layout)
        return value.to(self.device, self.dtype)


def _without_parameters(network: nn.Module) -> nn.Module:
    """Return a copy on the meta device, its instance normalisation by :class:`SingleImageNorm`."""
    empty = {
        id(value): nn.Parameter(torch.empty_like(value, device="meta"), requires_grad=False)
        for value in network.parameters()
    }
    skeleton = copy.deepcopy(network, empty)
    replaced: dict[nn.Module, nn.Module] = {}
    for parent in list(skeleton.modules()):
        for name, layer in parent.named_children():
            if isinstance(layer, nn.InstanceNorm2d) and not layer.track_running_stats:
                setattr(parent, name, replaced.setdefault(layer, SingleImageNorm(layer)))
    return skeleton


def _names(network: nn.Module) -> list[tuple[str, ...]]:
    """Return all names of each parameter: nnU-Net's decoder holds the encoder, a block its layers twice."""
    names: dict[int, list[str]] = {}
    for name, value in network.named_parameters(remove_duplicate=False):
        names.setdefault(id(value), []).append(name)
    return [tuple(same) for same in names.values()]


def _misfit(member: int, what: str) -> ModelError:
    return ModelError(
        Code.MEMBER_INVALID,
        f"member {member} does not fit the network of the plan: {what}; install the ensemble again",
    )
