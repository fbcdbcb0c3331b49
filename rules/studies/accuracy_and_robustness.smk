# REQUIRED INPUTS: tables that collect_transfers of rules/metrics.smk gathers
# OUTPUTS: results/tables/accuracy_and_robustness_*.csv, results/figures/accuracy_and_robustness/*.svg,
# results/pages/accuracy_and_robustness.html


rule relate_accuracy:
    """Transfer related to accuracy, robustness and width of the source, with intervals."""
    input:
        code=code_of("relate_accuracy"),
        table=f"{TABLES}/accuracy_and_robustness.csv",
        sources=f"{TABLES}/accuracy_and_robustness_sources.csv",
    output:
        points=report(
            f"{TABLES}/accuracy_and_robustness_points.csv",
            caption="../report/table_accuracy_points.rst",
            category="accuracy_and_robustness",
            subcategory="tables",
            labels={"table": "architectures and epsilons"},
        ),
        correlations=report(
            f"{TABLES}/accuracy_and_robustness_correlations.csv",
            caption="../report/table_accuracy_correlations.rst",
            category="accuracy_and_robustness",
            subcategory="tables",
            labels={"table": "R² by epsilon"},
        ),
        predictors=report(
            f"{TABLES}/accuracy_and_robustness_predictors.csv",
            caption="../report/table_predictors.rst",
            category="accuracy_and_robustness",
            subcategory="tables",
            labels={"table": "left-out errors"},
        ),
        width=report(
            f"{TABLES}/accuracy_and_robustness_width.csv",
            caption="../report/table_width.rst",
            category="accuracy_and_robustness",
            subcategory="tables",
            labels={"table": "width"},
        ),
    log:
        f"{RUN_LOGS}/relate_accuracy/accuracy_and_robustness.log",
    resources:
        mem_mb=growing_memory(2000),
        runtime=growing_time(60),
    params:
        recipe=lambda w: plans.relation_recipe(PLAN, "accuracy_and_robustness"),
    shell:
        "python -m workflow_scripts.relate_accuracy --recipe {params.recipe:q}"
        " --table {input.table:q}"
        " --sources {input.sources:q}"
        " --points {output.points:q}"
        " --correlations {output.correlations:q}"
        " --predictors {output.predictors:q}"
        " --width {output.width:q}"
        " 2> {log:q}"


rule accuracy_and_robustness_accuracy_scatter:
    """One mark per architecture and epsilon."""
    input:
        code=code_of("plot_accuracy_scatter"),
        points=f"{TABLES}/accuracy_and_robustness_points.csv",
    output:
        report(
            f"{FIGURES}/accuracy_and_robustness/accuracy_scatter.svg",
            caption="../report/figure_accuracy_scatter.rst",
            category="accuracy_and_robustness",
            subcategory="figures",
            labels={"figure": "transfer against source accuracy"},
        ),
    log:
        f"{RUN_LOGS}/figures/accuracy_and_robustness_accuracy_scatter.log",
    localrule: True
    params:
        recipe=figure_recipe("accuracy_and_robustness", "baseline trainings targets"),
    shell:
        "python -m workflow_scripts.plot_accuracy_scatter --recipe {params.recipe:q}"
        " --points {input.points:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule accuracy_and_robustness_accuracy_correlations:
    """R² of source and transfer accuracy at every epsilon."""
    input:
        code=code_of("plot_accuracy_correlations"),
        correlations=f"{TABLES}/accuracy_and_robustness_correlations.csv",
    output:
        report(
            f"{FIGURES}/accuracy_and_robustness/accuracy_correlations.svg",
            caption="../report/figure_accuracy_correlations.rst",
            category="accuracy_and_robustness",
            subcategory="figures",
            labels={"figure": "R² by epsilon, and as published"},
        ),
    log:
        f"{RUN_LOGS}/figures/accuracy_and_robustness_accuracy_correlations.log",
    localrule: True
    params:
        recipe=figure_recipe("accuracy_and_robustness", "baseline trainings targets"),
    shell:
        "python -m workflow_scripts.plot_accuracy_correlations --recipe {params.recipe:q}"
        " --correlations {input.correlations:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule accuracy_and_robustness_left_out_errors:
    """What predicts left-out architectures."""
    input:
        code=code_of("plot_left_out_errors"),
        predictors=f"{TABLES}/accuracy_and_robustness_predictors.csv",
    output:
        report(
            f"{FIGURES}/accuracy_and_robustness/left_out_errors.svg",
            caption="../report/figure_left_out_errors.rst",
            category="accuracy_and_robustness",
            subcategory="figures",
            labels={"figure": "accuracy and robustness, or accuracy alone"},
        ),
    log:
        f"{RUN_LOGS}/figures/accuracy_and_robustness_left_out_errors.log",
    localrule: True
    params:
        recipe=figure_recipe("accuracy_and_robustness", "baseline trainings targets"),
    shell:
        "python -m workflow_scripts.plot_left_out_errors --recipe {params.recipe:q}"
        " --predictors {input.predictors:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule accuracy_and_robustness_width:
    """Accuracy over width."""
    input:
        code=code_of("plot_width"),
        width=f"{TABLES}/accuracy_and_robustness_width.csv",
    output:
        report(
            f"{FIGURES}/accuracy_and_robustness/width.svg",
            caption="../report/figure_width.rst",
            category="accuracy_and_robustness",
            subcategory="figures",
            labels={"figure": "width of the source"},
        ),
    log:
        f"{RUN_LOGS}/figures/accuracy_and_robustness_width.log",
    localrule: True
    params:
        recipe=figure_recipe("accuracy_and_robustness", "baseline trainings targets"),
    shell:
        "python -m workflow_scripts.plot_width --recipe {params.recipe:q}"
        " --width {input.width:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule accuracy_and_robustness_page:
    """Prose: what was asked, how it was measured, what came out."""
    input:
        code=code_of("write_accuracy_page"),
        templates=page_templates("accuracy_and_robustness"),
        points=f"{TABLES}/accuracy_and_robustness_points.csv",
        correlations=f"{TABLES}/accuracy_and_robustness_correlations.csv",
        predictors=f"{TABLES}/accuracy_and_robustness_predictors.csv",
        width=f"{TABLES}/accuracy_and_robustness_width.csv",
        accuracy_scatter_figure=f"{FIGURES}/accuracy_and_robustness/accuracy_scatter.svg",
        accuracy_correlations_figure=f"{FIGURES}/accuracy_and_robustness/accuracy_correlations.svg",
        left_out_errors_figure=f"{FIGURES}/accuracy_and_robustness/left_out_errors.svg",
        width_figure=f"{FIGURES}/accuracy_and_robustness/width.svg",
    output:
        report(
            f"{OUTPUT}/pages/accuracy_and_robustness.html",
            caption="../report/page_accuracy_and_robustness.rst",
            category="accuracy_and_robustness",
            subcategory="page",
            labels={"page": "what was asked, measured and found"},
        ),
    log:
        f"{RUN_LOGS}/figures/accuracy_and_robustness_page.log",
    localrule: True
    params:
        recipe=page_recipe("accuracy_and_robustness"),
    shell:
        "python -m workflow_scripts.write_accuracy_page --recipe {params.recipe:q}"
        " --template rules/report/accuracy_and_robustness.html.j2"
        " --points {input.points:q}"
        " --correlations {input.correlations:q}"
        " --predictors {input.predictors:q}"
        " --width {input.width:q}"
        " --figures"
        " accuracy_scatter={input.accuracy_scatter_figure:q}"
        " accuracy_correlations={input.accuracy_correlations_figure:q}"
        " left_out_errors={input.left_out_errors_figure:q}"
        " width={input.width_figure:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule accuracy_and_robustness:
    """Target: the study's tables, figures and page."""
    input:
        tables_of("accuracy_and_robustness"),
        figures_of("accuracy_and_robustness"),
