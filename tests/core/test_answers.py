"""The ledger of answers: what is refused changes nothing, and what is taken back is as before."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from alod import AlodError
from alod.answers import FOREIGN, SKIPPED, UNCLEAR, UNLABELED, Answers

N, CLASSES = 8, 3
CODES = some.sampled_from([FOREIGN, *range(CLASSES)])
DEEDS = some.lists(
    some.tuples(
        some.sampled_from(["ask", "teach", "correct", "skip", "unclear", "undo"]),
        some.integers(0, N - 1),
        CODES,
    ),
    max_size=30,
)


def do(answers, deed, index, code):
    rows = np.array([index])
    if deed == "ask":
        answers.ask(rows[answers.codes[rows] == UNLABELED])
    elif deed in ("teach", "correct"):
        answers.take(*answers.taught(rows, np.array([code]), unasked=deed == "correct"))
    elif deed == "undo":
        answers.take(*answers.undone(rows))
    else:
        answers.take(*answers.skipped(rows, deed == "unclear"))


@given(DEEDS)
def test_every_image_is_in_one_place(deeds):
    answers = Answers(N, CLASSES)
    answers.held_out[0] = True
    for deed, index, code in deeds:
        before = answers.codes.copy(), answers.asked.copy()
        try:
            do(answers, deed, index, code)
        except AlodError:
            assert np.array_equal(before, (answers.codes, answers.asked))
        places = [answers.labeled, answers.foreign, answers.pool]
        passed_over = np.flatnonzero(np.isin(answers.codes, (SKIPPED, UNCLEAR)))
        everywhere = np.concatenate([*places, np.setdiff1d(passed_over, [0]), [0]])
        assert sorted(everywhere) == list(range(N))
        assert (answers.codes[answers.waiting] == UNLABELED).all()
        assert answers.n_answered == N - (answers.codes == UNLABELED).sum()


@given(some.lists(CODES, min_size=N, max_size=N))
def test_what_is_taken_back_waits_as_before(codes):
    answers = Answers(N, CLASSES)
    rows = np.arange(N)
    answers.ask(rows)
    answers.take(*answers.taught(rows, np.array(codes)))
    assert not len(answers.waiting)
    answers.take(*answers.undone(rows))
    assert np.array_equal(answers.waiting, rows) and np.array_equal(answers.pool, rows)


@pytest.mark.parametrize("labels", [[0, 9], [0, -2], [0], [0.0, 1.0]])
def test_a_batch_is_taken_whole_or_not_at_all(labels):
    answers = Answers(N, CLASSES)
    answers.ask(np.array([1, 2]))
    with pytest.raises(AlodError, match="label"):
        answers.taught(np.array([1, 2]), np.array(labels))
    assert answers.n_answered == 0


def test_a_ledger_goes_on_from_its_state():
    answers = Answers(N, CLASSES)
    answers.ask(np.array([1, 2, 5]))
    answers.take(*answers.taught(np.array([2]), np.array([1])))
    again = Answers(N, CLASSES)
    again.load_state_dict(answers.state_dict())
    again.take(*again.undone(np.array([2])))
    assert answers.codes[2] == 1 and again.codes[2] == UNLABELED
    assert np.array_equal(again.waiting, [1, 2, 5])
