"""Text prompts: what one may be, the papers' kinds of prompt in our own wording, the question they came from.

Imports nothing heavy: the configuration asks :func:`check_prompts` before any model is there.
"""

from models.prompts.check import PROMPT_MAX_CHARACTERS, check_prompts
from models.prompts.sets import Kind, PromptSets, known_tasks, prompt_set, prompt_sets, template

__all__ = [
    "PROMPT_MAX_CHARACTERS",
    "Kind",
    "PromptSets",
    "check_prompts",
    "known_tasks",
    "prompt_set",
    "prompt_sets",
    "template",
]
