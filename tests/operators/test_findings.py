"""Why nothing was found in a stack, in one code."""

import pytest

from models.errors import Code
from operators.findings import LAST_FIRST, REASONS, Findings

ENDS = (Code.TARGET_ABSENT, *LAST_FIRST)


@pytest.mark.parametrize("code", ENDS)
def test_the_only_code_of_a_stack_is_the_stacks_also_that_of_salip(code: Code) -> None:
    assert Findings((), ((code, 3),)).code is code


@pytest.mark.parametrize("code", LAST_FIRST)
def test_a_code_of_a_later_stage_says_more_than_an_absent_target(code: Code) -> None:
    assert Findings((), ((Code.TARGET_ABSENT, 7), (code, 1))).code is code


def test_a_mask_that_stayed_empty_says_more_than_a_choice_that_was_not_made() -> None:
    assert Findings((), ((Code.MARGIN_LOW, 2), (Code.NO_MASK, 1))).code is Code.NO_MASK


def test_every_code_of_a_stack_without_a_finding_is_explained_to_people() -> None:
    assert set(REASONS) == set(ENDS)
