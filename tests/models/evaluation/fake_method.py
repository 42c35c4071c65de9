"""A method whose answers are known: it takes what is bright, if the prompt asks for what is bright."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from models.errors import Code, InputError, PromptError
from models.masks.coarse import MaskSettings
from models.salip.settings import SalipSettings

LONGEST = 1000
REFUSED_PIXEL = 13
"""An image whose first pixel has this value is refused by the fake."""


@dataclass(frozen=True)
class FakeSettings:
    members: int = 4
    ensemble: Any = field(default_factory=lambda: SimpleNamespace(vote=False))
    masks: MaskSettings = field(default_factory=MaskSettings)
    salip: SalipSettings = field(default_factory=SalipSettings)

    def record(self) -> dict[str, Any]:
        return {"members": self.members}


@dataclass
class FakeMethod:
    """Stages as models/method.py has them; ``seeds`` keeps the seeds that saliency was called with."""

    bundle: Any = field(
        default_factory=lambda: SimpleNamespace(name="fake", version="1.0", digest="ab" * 32, ensembles=())
    )
    settings: FakeSettings = field(default_factory=FakeSettings)
    seeds: list[int] = field(default_factory=list)
    asked: list[tuple[str, ...]] = field(default_factory=list)
    margin: int = 0

    def using(self, method: str, mode: str, overrides: Any = None) -> "FakeMethod":
        return self

    def voting(self, vote: bool) -> "FakeMethod":
        return self

    def text(self, prompts: Any) -> torch.Tensor:
        self.asked.append(tuple(prompts))
        for prompt in prompts:
            if not prompt.strip():
                raise PromptError(Code.PROMPT_EMPTY, "the prompt is empty; say what to segment")
            if len(prompt) > LONGEST:
                raise PromptError(Code.PROMPT_TOO_LONG, f"the prompt has {len(prompt)} characters")
        return torch.tensor([1.0 if any("bright" in prompt for prompt in prompts) else 0.0])

    def saliency(self, image: Any, text: torch.Tensor, seed: int) -> Any:
        self.seeds.append(seed)
        if image[0, 0, 0] == REFUSED_PIXEL:
            raise InputError(Code.PIXELS_MISSING, "the fake refuses this image")
        soft = image[..., 0].astype(np.float32) / 255
        if text[0] == 0:
            return SimpleNamespace(status=Code.TARGET_ABSENT, maps=np.zeros((0, 1, 1)), image=image)
        return SimpleNamespace(
            status=None, maps=np.ones((4, 1, 1)), on_pixels=lambda _member: soft, image=image
        )

    def coarse(self, image: Any, saliency: Any) -> Any:
        if saliency.status is not None:
            return SimpleNamespace(status=saliency.status, components=())
        soft = saliency.on_pixels(None)
        if not (soft > 0.5).any():
            return SimpleNamespace(status=Code.NO_COMPONENT, components=((),) * 4)
        component = SimpleNamespace(mask=soft > 0.5)
        return SimpleNamespace(status=None, components=((component,),) * 3 + ((),))

    def refine(self, image: Any, coarse: Any, seed: int) -> Any:
        found = [component.mask for kept in coarse.components for component in kept]
        return SimpleNamespace(
            status=coarse.status,
            coarse=coarse,
            shape=image.shape[:2],
            probability=np.array(found, dtype=np.float32),
        )

    def ensemble_for(self, prompts: Any) -> None:
        return None

    def vote(self, members: Any) -> Any:
        if members.status is not None:
            nothing = np.zeros(members.shape)
            return SimpleNamespace(
                status=members.status, mask=nothing > 0, entropy=nothing, probability=nothing
            )
        mask = members.coarse.components[0][0].mask
        for _ in range(self.margin):
            mask = mask | np.roll(mask, 1, axis=0)
        return SimpleNamespace(
            status=None,
            mask=mask,
            entropy=np.full(mask.shape, 0.25, dtype=np.float32),
            probability=np.where(mask, np.float32(0.9), np.float32(0.1)),
        )
