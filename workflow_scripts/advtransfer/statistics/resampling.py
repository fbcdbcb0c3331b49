"""Bootstrap draws of models and their seeds.

Draws depend only on the numbers of models and seeds. They are drawn once and shared by the rows of
a table, which also makes rows comparable (common random numbers).
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .arrays import Floats, Indices


class Resamples(NamedTuple):
    """Hierarchical bootstrap draws: positions in the models' concatenated measurements.

    ``rows`` is (seeds, draws, models). Drawn models with fewer seeds are padded with the position
    after the last measurement. ``sizes`` counts the positions that are no padding, ``distinct`` the
    different models of a draw.
    """

    rows: Indices
    sizes: Floats
    distinct: Indices


@lru_cache(maxsize=16)
def resamples_of(sizes: tuple[int, ...], number: int, seed: int) -> Resamples:
    rng = np.random.default_rng([seed, 0])
    n, most = len(sizes), max(sizes)
    all_sizes = np.asarray(sizes, dtype=np.intp)
    starts = all_sizes.cumsum() - all_sizes
    models = np.sort(rng.integers(n, size=(number, n)), axis=1)
    size = all_sizes[models]
    rows = rng.integers(size, size=(most, number, n)) + starts[models]
    rows = np.where(np.arange(most)[:, None, None] < size, rows, sum(sizes))
    rows.sort(axis=0)  # so that equal draws add up in the same order and stay exact ties
    distinct = 1 + (np.diff(models, axis=1) > 0).sum(axis=1)
    return Resamples(rows, size.astype(np.float64), distinct)
