"""The recipe of a source that another program trained."""

from __future__ import annotations

from dataclasses import dataclass

from ..models.recipe import ModelRecipe
from ..recipes import Addressed
from .recipe import SourceRecipe


@dataclass(frozen=True)
class ImportedRecipe(Addressed):
    """A source that another program trained, identified by its name and the digest of its file.

    Published weights are identified by ``pretrained``. They bring their own classes and normaliser,
    and ``sha256`` is not needed if the publisher's name of the file determines its content.
    """

    name: str
    sha256: str
    model: ModelRecipe
    classes: tuple[str, ...]
    size: int
    mean: tuple[float, ...] = ()  # of the normaliser used in its training
    std: tuple[float, ...] = ()
    pretrained: str = ""  # where it is published, such as "timm/resnet50.a1_in1k"; "": a file
    entry: str = ""  # the set of weights in a file that holds several
    head: bool = True  # False: the trunk alone, without classes

    def label(self) -> str:
        # The rules recognise by this prefix which of them makes the source.
        return f"{'pretrained' if self.pretrained else 'imported'}-{self.name}"


Network = SourceRecipe | ImportedRecipe  # anything that can be transferred to a target
