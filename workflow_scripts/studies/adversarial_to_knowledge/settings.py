"""The section of the study: sources differ in architecture, and all see the same classes."""

from __future__ import annotations

from pydantic import Field

from ...config.section import Classes
from ..kinds.pairs import settings as pairs


class Sources(pairs.CommonSources):
    """The sources."""

    classes: Classes = Field(description=pairs.CLASSES)


class Settings(pairs.Settings):
    """Liang et al. 2021: does adversarial transferability indicate knowledge transferability?"""

    sources: Sources  # type: ignore[assignment]
