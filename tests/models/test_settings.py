"""Overriding settings: by name, in groups, and never with a value that the method cannot take."""

import pytest

from models.errors import Code, ConfigError
from models.presets import PRESETS, preset
from models.settings import Settings


def test_single_values_are_replaced_in_their_groups_and_the_rest_stays() -> None:
    changed = Settings().overridden(
        {"members": 6, "salip": {"area": [0, 0.3], "everything": {"box_nms": 0.8}}}
    )
    expected = Settings().record()
    expected["members"] = 6
    expected["salip"]["area"] = (0.0, 0.3)
    expected["salip"]["everything"]["box_nms"] = 0.8
    assert changed.record() == expected
    assert changed.salip.everything.box_nms == 0.8


def test_overriding_nothing_changes_nothing() -> None:
    for method, mode in PRESETS:
        assert preset(method, mode).overridden({}) == preset(method, mode)


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({"mebmers": 4}, "mebmers"),
        ({"salip": {"areas": [0, 1]}}, "areas"),
        ({"salip": None}, "salip"),
        ({"salip": 3}, "salip"),
        ({"members": 2}, "at least 4"),
        ({"members": "many"}, "members"),
        ({"salip": {"area": [0.5, 0.1]}}, "areas"),
        ({"salip": {"area": 0.5}}, "area"),
        ({"salip": {"crop": "round"}}, "crop"),
        ({"saliency": {"method": "guess"}}, "method"),
        ({1: 2}, "1"),
    ],
)
def test_what_is_no_setting_or_no_value_of_it_is_refused_in_one_line(values, names) -> None:
    with pytest.raises(ValueError, match=names) as caught:
        Settings().overridden(values)
    assert "\n" not in str(caught.value)


def test_overrides_hold_in_every_mode_and_over_a_bundles_own_numbers() -> None:
    for method, mode in PRESETS:
        settings = preset(method, mode, {"relevance": 0.7}, {"relevance": 0.2})
        assert settings.relevance == 0.2
        assert (settings.method, settings.mode) == (method, mode)


def test_a_wrong_override_is_an_error_of_the_configuration() -> None:
    with pytest.raises(ConfigError, match="nonsense") as caught:
        preset("salip", "paper", None, {"nonsense": 1})
    assert caught.value.code is Code.CONFIG_INVALID
