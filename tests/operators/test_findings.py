"""Why nothing was found in a stack, in one code, and what is taken away again."""

import numpy as np
import pytest

from models.errors import Code
from operators.findings import LAST_FIRST, REASONS, Findings, crop_finding, without_isolated_findings

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


def stack(*targets: np.ndarray) -> Findings:
    """Findings of targets (slices, H, W), entropy where any has a pixel."""
    masks = np.stack(targets, 1)
    planes = (
        crop_finding(index, "full", plane, plane.astype(np.float32)) for index, plane in enumerate(masks)
    )
    return Findings(tuple(plane for plane in planes if plane is not None), ())


def test_isolated_components_go_target_by_target_and_the_entropy_stays() -> None:
    large, speck, other = np.zeros((3, 12, 30, 40), bool)
    large[3:9, 4:14, 5:15] = True
    speck[6, 20:22, 30:32] = True
    other[6:8, 20:22, 30:32] = True
    findings = stack(large | speck, other)
    cleared = without_isolated_findings(findings, spacing=1.0)
    for index, plane in enumerate(cleared.planes, start=3):
        assert plane.plane == index
        masks = plane.full_masks(30, 40)
        assert np.array_equal(masks[0], large[index])
        assert np.array_equal(masks[1], other[index])
    assert np.array_equal(cleared.planes[3].entropy, findings.planes[3].entropy)


def test_no_findings_have_nothing_isolated() -> None:
    nothing = Findings((), ((Code.TARGET_ABSENT, 3),))
    assert without_isolated_findings(nothing, 1.0) == nothing
