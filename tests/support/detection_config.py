"""The study of detection as a changed configuration plans it."""

from __future__ import annotations

from typing import Any

from support.config import changed
from workflow_scripts.studies.detection.design import DetectionStudy
from workflow_scripts.studies.plan import make_plan

STUDY = "detection"


def study_of(changes: dict[str, Any]) -> DetectionStudy:
    study = make_plan(changed(changes)).studies[STUDY]
    assert isinstance(study, DetectionStudy)
    return study
