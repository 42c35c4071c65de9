"""Do the words decide? How often each kind of prompt finds something, and whether paraphrases agree."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby
from typing import TYPE_CHECKING, Literal

from models.contracts import Image
from models.errors import Code
from models.evaluation.answer import ask
from models.evaluation.metrics import Mask, dice

if TYPE_CHECKING:
    from models.method import Method

Kind = Literal["right", "paraphrase", "other-organ", "absent", "nonsense"]
KINDS: tuple[Kind, ...] = ("right", "paraphrase", "other-organ", "absent", "nonsense")


@dataclass(frozen=True)
class Case:
    """One question: the image's name, the prompt, and of what kind it is for this image.

    ``right`` and ``paraphrase`` name what the image shows, the paraphrase in words that were never trained;
    ``absent`` names what would be looked for in this organ and is not there.
    """

    name: str
    prompt: str
    kind: Kind


@dataclass(frozen=True)
class Reply:
    """What came back: ``mask`` is None where nothing was found, and ``code`` says why."""

    case: Case
    code: Code | None
    mask: Mask | None


@dataclass(frozen=True)
class Count:
    """How often prompts of one kind were asked and found something."""

    asked: int
    found: int

    @property
    def nothing_found(self) -> int:
        """How often nothing was found."""
        return self.asked - self.found

    @property
    def found_share(self) -> float:
        """The share that found something: sensitivity for right words, false alarms for the others."""
        return self.found / self.asked


@dataclass(frozen=True)
class Agreement:
    """Mean DSC over all pairs of paraphrases of one image: ``pairs`` pairs on ``images`` images.

    A pair of which only one found something scores 0. A pair that found nothing twice has no DSC: it is
    counted in ``both_nothing`` and left out of the mean.
    """

    mean: float | None
    pairs: int
    images: int
    both_nothing: int


@dataclass(frozen=True)
class Words:
    """The result: counts by kind of prompt, in the order of :data:`KINDS`, and the paraphrases' agreement."""

    kinds: dict[Kind, Count]
    agreement: Agreement


def reply_to(
    cases: Iterable[Case],
    image_of: Callable[[str], Image],
    method_of: Callable[[str], "Method"],
    base_seed: int = 0,
) -> Iterator[Reply]:
    """Yield the method's reply to one case after the other.

    Parameters
    ----------
    cases
        The questions; those on one image next to each other, so that it is read and encoded once.
    image_of
        Returns the image (H, W, 3) uint8 of a name.
    method_of
        Returns the method that may be asked about that name: in a cross-fit, the one that never saw it.
    base_seed
        Mixed with pixels and prompt into the seed.

    Raises
    ------
    TextsegError
        From the image or the prompt.
    """
    from models.method import image_seed

    for name, of_image in groupby(cases, key=lambda case: case.name):
        image, method = image_of(name), method_of(name)
        for case in of_image:
            prompts = (case.prompt,)
            answer = ask(method, image, method.text(prompts), image_seed(image, prompts, base_seed))
            yield Reply(case, answer.code, answer.mask if answer.status == "found" else None)


def summarise(replies: Iterable[Reply]) -> Words:
    """Return counts by kind, and the agreement of paraphrases.

    Every pair of prompts of kind ``paraphrase`` on one image is compared. Replies on one image must be next
    to each other, as :func:`reply_to` gives them: the masks of only one image are held at a time.
    """
    asked: dict[Kind, int] = dict.fromkeys(KINDS, 0)
    found: dict[Kind, int] = dict.fromkeys(KINDS, 0)
    scores: list[float] = []
    images = both_nothing = 0
    for _, of_image in groupby(replies, key=lambda reply: reply.case.name):
        paraphrased = []
        for reply in of_image:
            asked[reply.case.kind] += 1
            found[reply.case.kind] += reply.mask is not None
            if reply.case.kind == "paraphrase":
                paraphrased.append(reply.mask)
        agreed, silent = _agreement(paraphrased)
        scores += agreed
        both_nothing += silent
        images += bool(agreed)
    mean = sum(scores) / len(scores) if scores else None
    return Words(
        kinds={kind: Count(asked[kind], found[kind]) for kind in KINDS if asked[kind]},
        agreement=Agreement(mean, len(scores), images, both_nothing),
    )


def merged(parts: Sequence[Words]) -> Words:
    """Return the counts over several parts whose images differ."""
    kinds = {
        kind: Count(
            sum(part.kinds[kind].asked for part in parts if kind in part.kinds),
            sum(part.kinds[kind].found for part in parts if kind in part.kinds),
        )
        for kind in KINDS
        if any(kind in part.kinds for part in parts)
    }
    agreements = [part.agreement for part in parts]
    pairs = sum(one.pairs for one in agreements)
    total = sum((one.mean or 0.0) * one.pairs for one in agreements)
    images, silent = sum(one.images for one in agreements), sum(one.both_nothing for one in agreements)
    return Words(kinds, Agreement(total / pairs if pairs else None, pairs, images, silent))


def _agreement(masks: Sequence[Mask | None]) -> tuple[list[float], int]:
    """Return the DSC of every pair that found anything, and how many pairs found nothing twice."""
    scores, silent = [], 0
    for one, other in combinations(masks, 2):
        if one is None and other is None:
            silent += 1
        else:
            scores.append(0.0 if one is None or other is None else dice(one, other) or 0.0)
    return scores, silent
