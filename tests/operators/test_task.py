"""A task names a preset that there is."""

import itertools
from typing import get_args

import pytest
from pydantic import ValidationError

from models.presets import PRESETS
from operators.task import Task, prompt_task

METHODS, MODES = (get_args(Task.model_fields[field].annotation) for field in ("method", "mode"))


@pytest.mark.parametrize(("method", "mode"), itertools.product(METHODS, MODES))
def test_a_task_takes_every_preset_and_nothing_else(method: str, mode: str) -> None:
    values = {**prompt_task("the liver").model_dump(), "method": method, "mode": mode}
    if (method, mode) in PRESETS:
        assert Task.model_validate(values).mode == mode
    else:
        with pytest.raises(ValidationError, match="no mode released"):
            Task.model_validate(values)


def test_a_report_without_a_segmentation_to_refer_to_is_refused() -> None:
    values = prompt_task("the liver").model_dump()
    assert Task.model_validate({**values, "outputs": ("seg", "sr")}).outputs == ("seg", "sr")
    with pytest.raises(ValidationError, match="add seg to outputs"):
        Task.model_validate({**values, "outputs": ("sr",)})
