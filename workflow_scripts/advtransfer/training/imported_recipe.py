"""What a source that another program trained is made from."""

from __future__ import annotations

from dataclasses import dataclass

from ..models.recipe import ModelRecipe
from ..recipes import Addressed
from .recipe import SourceRecipe


@dataclass(frozen=True)
class ImportedRecipe(Addressed):
    """A source that another program trained; ``name`` says what it is, its bytes what it does.

    Published weights are known by ``pretrained``; what it leaves open, they bring along: classes
    and normaliser, and ``sha256`` where the publisher's own name of a file pins it.
    """

    name: str
    sha256: str
    model: ModelRecipe
    classes: tuple[str, ...]
    size: int
    mean: tuple[float, ...] = ()  # of the normaliser that its training had
    std: tuple[float, ...] = ()
    pretrained: str = ""  # where it is published, such as "timm/resnet50.a1_in1k"; "": a file

    def label(self) -> str:
        # The rules tell by it who makes a source.
        return f"{'pretrained' if self.pretrained else 'imported'}-{self.name}"


Network = SourceRecipe | ImportedRecipe  # whatever can be carried over to a target
