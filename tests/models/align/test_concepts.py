"""Wordings: what is held out is held out."""

from models.align.concepts import LESIONS, ORGANS, denials, nothing_held_out, nothing_trained, vocabulary


def test_no_held_out_wording_is_trained() -> None:
    trained = {s.lower() for words in vocabulary().values() for s in words.trained}
    trained |= {s.lower() for s in (*nothing_trained(), *denials())}
    held_out = {s.lower() for words in vocabulary().values() for s in words.held_out}
    held_out |= {s.lower() for kind in nothing_held_out().values() for s in kind}
    assert not trained & held_out


def test_every_concept_has_several_wordings_and_some_held_out() -> None:
    assert set(vocabulary()) == set(LESIONS) | set(ORGANS)
    assert all(len(words.trained) >= 4 and words.held_out for words in vocabulary().values())
