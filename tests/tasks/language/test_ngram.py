"""The n-gram model against the laws of probability."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sequary.tasks.language.ngram import NGram

TEXT = b"the cat sat on the mat; the dog sat on the log. " * 20


@pytest.mark.parametrize("order", [1, 2, 5, 8])
def test_probabilities_sum_to_one(order: int) -> None:
    for context in (b"the ca", b"qqqqqq"):
        bits = [NGram(order).bits(TEXT + context, bytes([byte]))[0] for byte in range(256)]
        assert math.fsum(2.0 ** -np.array(bits)) == pytest.approx(1, abs=1e-9)


def test_a_unigram_by_hand() -> None:
    # counts a: 3, b: 1; n_1 = 1, n_2 = 0, so D = 2 / 3; two distinct bytes share the discount.
    p = (3 - 2 / 3) / 4 + (2 / 3) * 2 / 4 / 256
    assert NGram(1).bits(b"aaba", b"a")[0] == pytest.approx(-math.log2(p))


def test_longer_contexts_pay_on_text_that_repeats_and_never_read_ahead() -> None:
    bits = {order: NGram(order).bits(TEXT, TEXT[:200]).mean() for order in (1, 3, 6)}
    assert bits[6] < bits[3] < bits[1] < 5
    changed = NGram(6).bits(TEXT, TEXT[:100] + bytes(100))
    np.testing.assert_array_equal(changed[:100], NGram(6).bits(TEXT, TEXT[:200])[:100])


def test_without_anything_known_a_byte_costs_eight_bits() -> None:
    assert NGram(3).bits(b"", b"abc").tolist() == [8, 8, 8]


def test_bad_order_and_empty_text_are_refused() -> None:
    with pytest.raises(ValueError, match="order=9 is not between 1 and 8"):
        NGram(9).bits(b"a", b"a")
    with pytest.raises(ValueError, match="at least one byte"):
        NGram(2).bits(b"a", b"")
