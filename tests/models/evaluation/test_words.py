import io

import numpy as np
import pytest
from rich.console import Console

from models.errors import Code
from models.evaluation.table import words_table
from models.evaluation.words import Case, Reply, reply_to, summarise
from tests.models.evaluation.fake_method import FakeMethod
from tests.models.evaluation.folders import square


def mask(*rows):
    found = np.zeros((4, 4), dtype=bool)
    found[list(rows)] = True
    return found


def paraphrase(name, found):
    return Reply(
        Case(name, "other words", "paraphrase"), None if found is not None else Code.TARGET_ABSENT, found
    )


def image_of(name):
    return np.repeat(square(low={"a": 8, "b": 6}[name])[..., None], 3, axis=2)


def test_each_case_is_put_to_the_method_that_may_answer_for_its_image():
    methods = {"a": FakeMethod(), "b": FakeMethod()}
    cases = [
        Case("a", "what is bright", "right"),
        Case("a", "a unicorn", "nonsense"),
        Case("b", "bright parts", "paraphrase"),
    ]
    replies = list(reply_to(cases, image_of, methods.__getitem__))
    assert [reply.case for reply in replies] == cases
    assert [reply.code for reply in replies] == [None, Code.TARGET_ABSENT, None]
    assert np.array_equal(replies[2].mask, square(low=6) > 0)
    assert replies[1].mask is None
    assert methods["a"].asked == [("what is bright",), ("a unicorn",)]
    assert methods["b"].asked == [("bright parts",)]


def test_found_and_nothing_found_are_counted_by_kind():
    cases = [
        Case("a", "what is bright", "right"),
        Case("a", "a unicorn", "nonsense"),
        Case("a", "a kidney", "other-organ"),
        Case("b", "what is bright", "right"),
        Case("b", "a bright kidney", "other-organ"),
    ]
    words = summarise(reply_to(cases, image_of, lambda _: FakeMethod()))
    counted = {kind: (count.asked, count.found, count.nothing_found) for kind, count in words.kinds.items()}
    assert counted == {"right": (2, 2, 0), "other-organ": (2, 1, 1), "nonsense": (1, 0, 1)}
    assert words.kinds["other-organ"].found_share == 0.5


def test_agreement_is_the_mean_dsc_over_pairs_of_paraphrases_of_one_image():
    replies = [
        paraphrase("a", mask(0, 1)),
        paraphrase("a", mask(0, 1)),
        paraphrase("a", mask(1, 2)),
        paraphrase("b", mask(3)),
    ]
    agreement = summarise(replies).agreement
    assert agreement.mean == pytest.approx((1 + 0.5 + 0.5) / 3)
    assert (agreement.pairs, agreement.images, agreement.both_nothing) == (3, 1, 0)


def test_a_paraphrase_that_finds_nothing_beside_one_that_does_agrees_by_zero():
    agreement = summarise([paraphrase("a", mask(0)), paraphrase("a", None), paraphrase("a", None)]).agreement
    assert (agreement.mean, agreement.pairs, agreement.both_nothing) == (0, 2, 1)


def test_other_kinds_of_prompt_do_not_enter_the_agreement():
    right = Reply(Case("a", "words", "right"), None, mask(0))
    assert summarise([right, paraphrase("a", mask(1))]).agreement.mean is None


def test_the_table_shows_every_kind_with_its_counts():
    replies = [
        paraphrase("a", mask(0)),
        paraphrase("a", mask(0)),
        Reply(Case("a", "x", "absent"), None, mask(1)),
    ]
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(words_table(summarise(replies)))
    text = console.export_text()
    assert "paraphrase" in text
    assert "absent" in text
    assert "1.000 over 1 pairs on 1 images" in text
