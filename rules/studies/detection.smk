# REQUIRED INPUTS: detectors and data of rules/detection.smk, evaluations of rules/sources.smk
# OUTPUTS: results/tables/detection*.csv, results/figures/detection/*.svg and detections.png,
# results/pages/detection.html


rule collect_detection:
    """All artefacts of the study as tidy tables."""
    input:
        PLAN.studies["detection"].files(),
        code=code_of("collect_detection"),
    output:
        table=report(
            f"{TABLES}/detection.csv",
            caption="../report/table_average_precision.rst",
            category="detection",
            subcategory="tables",
            labels={"table": "average precision"},
        ),
        sources=report(
            f"{TABLES}/detection_sources.csv",
            caption="../report/table_sources.rst",
            category="detection",
            subcategory="tables",
            labels={"table": "sources"},
        ),
    log:
        f"{RUN_LOGS}/collect_detection/detection.log",
    resources:
        mem_mb=growing_memory(2000),
        runtime=growing_time(60),
    params:
        recipe=lambda w: plans.study_config(config, "detection"),
        root=root_of,
    shell:
        "python -m workflow_scripts.collect_detection --recipe {params.recipe:q}"
        " --root {params.root:q}"
        " --table {output.table:q}"
        " --sources {output.sources:q}"
        " 2> {log:q}"


rule compare_detectors:
    """Paired differences between detectors, with intervals."""
    input:
        code=code_of("compare_detectors"),
        table=f"{TABLES}/detection.csv",
    output:
        report(
            f"{TABLES}/detection_differences.csv",
            caption="../report/table_ap_differences.rst",
            category="detection",
            subcategory="tables",
            labels={"table": "paired differences"},
        ),
    log:
        f"{RUN_LOGS}/compare_detectors/detection.log",
    resources:
        mem_mb=growing_memory(2000),
        runtime=growing_time(60),
    params:
        recipe=figure_recipe("detection", "baseline"),
    shell:
        "python -m workflow_scripts.compare_detectors --recipe {params.recipe:q}"
        " --table {input.table:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule detection_average_precision:
    """Average precision by training of the source."""
    input:
        code=code_of("plot_average_precision"),
        table=f"{TABLES}/detection.csv",
    output:
        report(
            f"{FIGURES}/detection/average_precision.svg",
            caption="../report/figure_average_precision.rst",
            category="detection",
            subcategory="figures",
            labels={"figure": "average precision"},
        ),
    log:
        f"{RUN_LOGS}/figures/detection_average_precision.log",
    localrule: True
    params:
        recipe=figure_recipe("detection", "baseline model trainings tasks areas"),
    shell:
        "python -m workflow_scripts.plot_average_precision --recipe {params.recipe:q}"
        " --table {input.table:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule detection_ap_differences:
    """What another training of the source changes."""
    input:
        code=code_of("plot_ap_differences"),
        differences=f"{TABLES}/detection_differences.csv",
    output:
        report(
            f"{FIGURES}/detection/ap_differences.svg",
            caption="../report/figure_ap_differences.rst",
            category="detection",
            subcategory="figures",
            labels={"figure": "differences in average precision"},
        ),
    log:
        f"{RUN_LOGS}/figures/detection_ap_differences.log",
    localrule: True
    params:
        recipe=figure_recipe("detection", "baseline model trainings tasks areas"),
    shell:
        "python -m workflow_scripts.plot_ap_differences --recipe {params.recipe:q}"
        " --differences {input.differences:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule detection_detections:
    """Pictures: what is there, and what is found."""
    input:
        unpack(lambda w: pictured("detection")),
        code=code_of("plot_detections"),
    output:
        report(
            f"{FIGURES}/detection/detections.png",
            caption="../report/figure_detections.rst",
            category="detection",
            subcategory="figures",
            labels={"figure": "pictures of detections"},
        ),
    log:
        f"{RUN_LOGS}/figures/detection_detections.log",
    localrule: True
    params:
        recipe=figure_recipe("detection", "baseline robust model tasks pictured"),
        options=lambda w, input: predictions_option("detection", input.predictions),
    shell:
        "python -m workflow_scripts.plot_detections --recipe {params.recipe:q}"
        " --data {input.data:q}"
        " {params.options}"
        " --output {output:q}"
        " 2> {log:q}"


rule detection_published_detection:
    """Published and ours."""
    input:
        code=code_of("plot_published_detection"),
        table=f"{TABLES}/detection.csv",
    output:
        report(
            f"{FIGURES}/detection/published_detection.svg",
            caption="../report/figure_published_detection.rst",
            category="detection",
            subcategory="figures",
            labels={"figure": "published and ours"},
        ),
    log:
        f"{RUN_LOGS}/figures/detection_published_detection.log",
    localrule: True
    params:
        recipe=figure_recipe("detection", "baseline robust model trainings tasks"),
    shell:
        "python -m workflow_scripts.plot_published_detection --recipe {params.recipe:q}"
        " --table {input.table:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule detection_page:
    """Prose: what was asked, how it was measured, what came out."""
    input:
        code=code_of("write_detection_page"),
        templates=page_templates("detection"),
        table=f"{TABLES}/detection.csv",
        differences=f"{TABLES}/detection_differences.csv",
        sources=f"{TABLES}/detection_sources.csv",
        average_precision_figure=f"{FIGURES}/detection/average_precision.svg",
        ap_differences_figure=f"{FIGURES}/detection/ap_differences.svg",
        detections_figure=f"{FIGURES}/detection/detections.png",
        published_detection_figure=f"{FIGURES}/detection/published_detection.svg",
    output:
        report(
            f"{OUTPUT}/pages/detection.html",
            caption="../report/page_detection.rst",
            category="detection",
            subcategory="page",
            labels={"page": "what was asked, measured and found"},
        ),
    log:
        f"{RUN_LOGS}/figures/detection_page.log",
    localrule: True
    params:
        recipe=page_recipe("detection"),
    shell:
        "python -m workflow_scripts.write_detection_page --recipe {params.recipe:q}"
        " --template rules/report/detection.html.j2"
        " --table {input.table:q}"
        " --differences {input.differences:q}"
        " --sources {input.sources:q}"
        " --figures"
        " average_precision={input.average_precision_figure:q}"
        " ap_differences={input.ap_differences_figure:q}"
        " detections={input.detections_figure:q}"
        " published_detection={input.published_detection_figure:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule detection:
    """Target: the study's tables, figures and page."""
    input:
        tables_of("detection"),
        figures_of("detection"),
