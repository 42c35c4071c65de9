"""What a text prompt may be. Imports nothing heavy: the configuration asks it before any model."""

from collections.abc import Sequence

from models.errors import Code, PromptError

PROMPT_MAX_CHARACTERS = 1000
"""Longer than any sentence of the papers' prompt sets; SegmentDescription (ST) holds 1024."""


def check_prompts(prompts: Sequence[str]) -> None:
    """Refuse prompts that say nothing or too much. Raises PromptError (PROMPT-EMPTY, PROMPT-TOO-LONG)."""
    if not prompts or any(not prompt.strip() for prompt in prompts):
        raise PromptError(Code.PROMPT_EMPTY, "The prompt is empty; say in words what to segment.")
    longest = max(len(prompt) for prompt in prompts)
    if longest > PROMPT_MAX_CHARACTERS:
        raise PromptError(
            Code.PROMPT_TOO_LONG,
            f"The prompt has {longest} characters; at most {PROMPT_MAX_CHARACTERS} are used. Shorten it.",
        )
