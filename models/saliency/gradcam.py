"""GradCAM on a dual encoder: channels weighed by what they do to the score of a text.

The layer matters. The released code of MedCLIP-SAM hooks the last block's second normalisation: after it no
token reads another and only the class token is pooled, so the gradient at every patch is exactly zero and the
map is dust. Here it is the input of the last block, the last place where patches still count; an encoder
without blocks is taken at its own bottleneck. A gradient of zero is an error, never a map.
"""

import torch
from torch import Tensor

from models.contracts import DualEncoder, ImageTokens, LayeredEncoder
from models.errors import Code, ModelError
from models.saliency.m2ib import min_max


def before_last_block(encoder: DualEncoder) -> DualEncoder:
    """Return the encoder cut where its last block begins; one that has no blocks to cut stays as it is.

    Raises ValueError for an encoder of a single block.
    """
    return encoder.cut(encoder.depth - 2) if isinstance(encoder, LayeredEncoder) else encoder


def patch_gradients(encoder: DualEncoder, tokens: ImageTokens, text: Tensor) -> Tensor:
    """Return the gradient (C, rows, columns) of ``scale * cosine(image, text)`` in the patches.

    ``tokens`` are the encoder's own at its bottleneck, ``text`` is (D,) of unit length.
    Raises ModelError (GRADIENT-ZERO) where no patch has any influence on the score.
    """
    values = tokens.values.detach().clone().requires_grad_()
    score = encoder.scale * (encoder.finish(values.unsqueeze(0))[0] @ text)
    (gradient,) = torch.autograd.grad(score, values)
    patches = tokens.grid(gradient)
    if not patches.any():
        raise ModelError(
            Code.GRADIENT_ZERO,
            "at this layer no patch of the image has any influence on the text's score; "
            "cut the image tower before its last block, where patches still reach the pooled token",
        )
    return patches


def gradcam(encoder: DualEncoder, tokens: ImageTokens, text: Tensor) -> Tensor:
    """Return a map (rows, columns) float32 in [0, 1] on the token grid: ReLU(sum_k w_k A_k), min to max.

    ``w_k`` is the mean over the patches of the gradient in channel k of the activations A (Selvaraju et al.;
    the baseline of MedCLIP-SAMv2, Table 5). A map without any positive place is all zeros.

    Parameters
    ----------
    encoder
        Cut where patches still count, see :func:`before_last_block`.
    tokens
        The tokens of this very encoder, ``encoder.tokens(image)``.
    text
        (D,) of unit length.

    Raises
    ------
    ModelError
        GRADIENT-ZERO where no patch has any influence on the score.
    """
    weights = patch_gradients(encoder, tokens, text).mean((1, 2))
    return weighted_map(tokens.grid(tokens.values), weights)


def weighted_map(activations: Tensor, weights: Tensor) -> Tensor:
    """Return ReLU of the sum of activations (C, rows, columns) weighed by (C,), scaled to [0, 1]."""
    return min_max(torch.einsum("c,chw->hw", weights, activations).relu().unsqueeze(0))[0]
