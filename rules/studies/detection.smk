rule detection:
    """Target: the study's tables, figures and page."""
    input:
        PLAN.studies["detection"].files(),
