"""All comparisons, in the order of the table."""

from harness import blocks, decoding, factors, products, similar, trials
from harness.case import Case

CASES: list[Case] = [*products.CASES, *factors.CASES, *similar.CASES, *decoding.CASES, *trials.CASES, *blocks.CASES]
