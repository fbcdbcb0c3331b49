"""The section of the study: sources differ in the mixture of classes that they see."""

from __future__ import annotations

from pydantic import Field

from ...config.section import Texts
from ..kinds.pairs import settings as pairs


class Sources(pairs.CommonSources):
    """The sources."""

    mixtures: pairs.Mixtures = Field(description=pairs.MIXTURES)
    animals: Texts = Field(description=pairs.ANIMALS)


class Settings(pairs.Settings):
    """Liang et al. 2021: does knowledge transferability indicate adversarial transferability?"""

    sources: Sources  # type: ignore[assignment]
