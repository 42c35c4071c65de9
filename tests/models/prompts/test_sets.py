import re
from dataclasses import replace
from itertools import chain

import pytest
import torch
import torch.nn.functional as F

from models.errors import Code, ConfigError
from models.method import Method
from models.prompts import check_prompts, known_tasks, prompt_set, prompt_sets, template
from tests.app.toy_bundle import toy_bundle

OF_V2 = ("brain-tumour-mri", "breast-tumour-us", "lung-ct", "lung-xray")
OF_SALIP = {"brain-mri": 4, "fetal-head-us": 14, "lungs-xray": 5}
LISTS = [(task, None) for task in OF_V2] + [
    (task, subtype) for task in OF_V2 for subtype in prompt_sets(task).subtypes
]


def sentences(task, subtype):
    return prompt_set(task, "P5" if subtype else "P4", subtype)


def words(sentence):
    return re.findall(r"[\w'-]+", sentence)


def test_there_are_the_tasks_of_both_papers():
    assert set(known_tasks()) == {*OF_V2, *OF_SALIP}
    assert {task: tuple(prompt_sets(task).subtypes) for task in OF_V2} == {
        "brain-tumour-mri": ("glioma", "meningioma", "pituitary"),
        "breast-tumour-us": ("benign", "malignant"),
        "lung-ct": (),
        "lung-xray": ("covid", "viral-pneumonia", "lung-opacity", "normal"),
    }


@pytest.mark.parametrize(("task", "subtype"), LISTS)
def test_a_list_has_exactly_20_sentences_where_three_of_the_released_lists_have_21(task, subtype):
    assert len(sentences(task, subtype)) == 20


@pytest.mark.parametrize(("task", "subtype"), LISTS)
def test_the_sentences_of_a_list_have_12_to_21_words_on_average(task, subtype):
    lengths = [len(words(sentence)) for sentence in sentences(task, subtype)]
    assert 12 <= sum(lengths) / len(lengths) <= 21
    assert min(lengths) >= 8


def test_no_sentence_stands_twice_in_any_list():
    lists = [sentences(*one) for one in LISTS]
    lists += [prompt_set(task, "VDT") for task in OF_SALIP]
    lists += [prompt_set("lungs-xray", "VDT", side) for side in ("left", "right")]
    every = [re.sub(r"\W+", " ", sentence).lower() for sentence in chain.from_iterable(lists)]
    assert len(set(every)) == len(every)


def test_breast_prompts_say_ultrasound_where_the_released_ones_say_mammogram():
    sets = prompt_sets("breast-tumour-us")
    for sentence in chain(sets.generic.sentences, *(words.sentences for words in sets.subtypes.values())):
        assert re.search(r"ultrasound|sonogra", sentence)
        assert "mammogra" not in sentence


@pytest.mark.parametrize(("task", "count"), OF_SALIP.items())
def test_salips_descriptive_sets_have_as_many_sentences_as_the_papers(task, count):
    assert len(prompt_set(task, "VDT")) == count


def test_descriptive_sentences_describe_what_is_seen_and_not_what_a_clinician_does_with_it():
    for task in OF_SALIP:
        for sentence in prompt_set(task, "VDT"):
            assert not re.search(r"circumference|growth|deviat|images containing|used to", sentence)


@pytest.mark.parametrize(("task", "subtype"), LISTS)
def test_single_prompts_are_the_name_and_the_first_sentence(task, subtype):
    name, sentence = ("P1", "P3") if subtype else ("P0", "P2")
    (short,) = prompt_set(task, name, subtype)
    assert len(words(short)) <= 4
    assert prompt_set(task, sentence, subtype) == sentences(task, subtype)[:1]


def test_every_prompt_is_one_that_the_method_takes():
    for one in LISTS:
        check_prompts(sentences(*one))


@pytest.mark.parametrize(
    ("task", "kind", "subtype", "said"),
    [
        ("liver", "P0", None, "breast-tumour-us"),
        ("lung-ct", "P3", None, "P0, P2, P4"),
        ("brain-mri", "P2", None, "P0, VDT"),
        ("breast-tumour-us", "VDT", None, "P5"),
        ("breast-tumour-us", "P3", None, "benign, malignant"),
        ("breast-tumour-us", "P5", "glioma", "benign, malignant"),
        ("lungs-xray", "VDT", "upper", "right, left"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(task, kind, subtype, said):
    with pytest.raises(ConfigError, match=said) as error:
        prompt_set(task, kind, subtype)
    assert error.value.code is Code.USAGE


def test_the_papers_question_is_filled_in():
    assert template(" pituitary tumour ", "brain MRI") == (
        "Give a sentence caption that describes unique visual features of pituitary tumour in brain MRI."
    )
    with pytest.raises(ConfigError, match="target and a modality"):
        template("liver", " ")


class PaddingEncoder:
    """Embeds a sentence as the masked mean of its characters' vectors, in a batch padded to the longest."""

    def __init__(self, table):
        self.table = table

    def encode_text(self, prompts):
        longest = max(len(prompt) for prompt in prompts)
        ids = torch.zeros(len(prompts), longest, dtype=torch.long)
        mask = torch.zeros(len(prompts), longest, 1)
        for row, prompt in enumerate(prompts):
            ids[row, : len(prompt)] = torch.tensor([ord(letter) % 97 for letter in prompt])
            mask[row, : len(prompt)] = 1.0
        return F.normalize((self.table[ids] * mask).sum(1) / mask.sum(1), dim=1)


@pytest.fixture
def method():
    encoder = PaddingEncoder(torch.randn(97, 16, generator=torch.Generator().manual_seed(3)))
    return Method(replace(toy_bundle(), encoder=encoder))


def test_twenty_copies_of_one_prompt_mean_that_prompt(method):
    (one,) = prompt_set("lung-ct", "P2")
    assert torch.allclose(method.text([one] * 20), method.text([one]), atol=1e-6)


def test_the_order_of_the_sentences_does_not_matter(method):
    twenty = prompt_set("lung-ct", "P4")
    assert torch.allclose(method.text(twenty), method.text(twenty[::-1]), atol=1e-6)


def test_the_mean_of_twenty_has_unit_length_and_weighs_each_alike_where_the_released_code_does_not(method):
    twenty = prompt_set("breast-tumour-us", "P5", "malignant")
    text = method.text(twenty)
    each = torch.stack([method.bundle.encoder.encode_text([one])[0] for one in twenty])
    assert float(text.norm()) == pytest.approx(1.0, abs=1e-6)
    assert torch.allclose(text, F.normalize(F.normalize(each, dim=1).mean(0), dim=0), atol=1e-5)


def test_a_padded_batch_equals_one_sentence_at_a_time(method):
    twenty = prompt_set("brain-tumour-mri", "P4")
    encoder = method.bundle.encoder
    alone = torch.cat([encoder.encode_text([one]) for one in twenty])
    assert torch.allclose(encoder.encode_text(twenty), alone, atol=1e-5)


@pytest.mark.parametrize(
    "prompt", ["乳腺肿瘤", "опухоль молочной железы", "ورم الثدي", "स्तन का ट्यूमर", "🫁 lungs"]
)
def test_prompts_in_other_scripts_are_accepted(method, prompt):
    check_prompts([prompt])
    assert float(method.text([prompt]).norm()) == pytest.approx(1.0, abs=1e-5)
