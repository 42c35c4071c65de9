"""Why nothing was found in a stack, in one code; what is kept of what was found, and what is taken away."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.errors import Code
from models.uncertainty import ENTROPY_FLOOR_BITS
from operators.findings import (
    LAST_FIRST,
    REASONS,
    Findings,
    crop_finding,
    crop_map,
    without_isolated_findings,
)

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


planes = arrays(np.bool_, (2, 5, 6))
entropies = arrays(np.float32, (2, 5, 6), elements=st.floats(0, 1, width=32))


@given(planes, entropies)
def test_cropping_loses_no_mask_and_no_entropy_above_the_floor(masks, entropy) -> None:
    finding = crop_finding(3, "w", masks, entropy)
    floored = np.where(entropy >= ENTROPY_FLOOR_BITS, entropy, 0)
    if finding is None:
        assert not masks.any()
        assert not floored.any()
        return
    np.testing.assert_array_equal(finding.full_masks(5, 6), masks)
    np.testing.assert_array_equal(finding.full_entropy(5, 6), floored.max(axis=0))
    assert (finding.pixels, finding.covered) == (masks.sum(), masks.any(axis=0).sum())
    assert finding.found == masks.any()
    for target, mask, own in zip(finding.targets, masks, floored, strict=True):
        assert target.mask_entropy == pytest.approx(own[mask].sum(), abs=1e-5)


@given(entropies, st.floats(0.01, 1))
def test_a_map_keeps_every_value_from_its_floor_on_and_nothing_else(values, floor) -> None:
    kept = np.where(values >= np.float32(floor), values, 0)
    cropped = crop_map(4, values, np.float32(floor))
    if cropped is None:
        assert not kept.any()
        return
    assert cropped.plane == 4
    np.testing.assert_array_equal(cropped.full(5, 6), kept.max(axis=0))
    for patch, own in zip(cropped.patches, kept, strict=True):
        assert patch.values.size == (0 if not own.any() else np.prod(bounding(own)))


def bounding(values: np.ndarray) -> tuple[int, ...]:
    return tuple(int(np.ptp(index)) + 1 for index in np.nonzero(values))


def test_targets_far_apart_are_not_kept_as_one_large_rectangle() -> None:
    masks = np.zeros((2, 100, 100), dtype=np.bool_)
    masks[0, :3, :3] = masks[1, -3:, -3:] = True
    finding = crop_finding(0, "w", masks, masks.astype(np.float32))
    assert finding is not None
    assert [target.mask.shape for target in finding.targets] == [(3, 3), (3, 3)]
    assert finding.entropy_map.box == (slice(0, 100), slice(0, 100))


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
    for one, other in zip(cleared.planes, findings.planes, strict=True):
        assert np.array_equal(one.full_entropy(30, 40), other.full_entropy(30, 40))


def test_no_findings_have_nothing_isolated() -> None:
    nothing = Findings((), ((Code.TARGET_ABSENT, 3),))
    assert without_isolated_findings(nothing, 1.0) == nothing
