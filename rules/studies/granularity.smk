# REQUIRED INPUTS: transfers and measures of rules/transfers.smk, evaluations of rules/sources.smk
# OUTPUTS: results/tables/granularity*.csv (rules/metrics.smk gathers the first three),
# results/figures/granularity/*.svg, results/pages/granularity.html


rule collect_granularity:
    """What was measured on the targets, as one tidy table."""
    input:
        PLAN.studies["granularity"].files(),
        code=code_of("collect_granularity"),
    output:
        report(
            f"{TABLES}/granularity_measures.csv",
            caption="../report/table_granularity_measures.rst",
            category="granularity",
            subcategory="tables",
            labels={"table": "measures of granularity"},
        ),
    log:
        f"{RUN_LOGS}/collect_granularity/granularity.log",
    resources:
        mem_mb=growing_memory(2000),
        runtime=growing_time(60),
    params:
        recipe=lambda w: plans.study_config(config, "granularity"),
        root=root_of,
    shell:
        "python -m workflow_scripts.collect_granularity --recipe {params.recipe:q}"
        " --root {params.root:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule rank_measures:
    """The best epsilon of every target, and how well measures of granularity predict it."""
    input:
        code=code_of("rank_measures"),
        table=f"{TABLES}/granularity.csv",
        measures=f"{TABLES}/granularity_measures.csv",
    output:
        best=report(
            f"{TABLES}/granularity_best.csv",
            caption="../report/table_granularity_best.rst",
            category="granularity",
            subcategory="tables",
            labels={"table": "best epsilons"},
        ),
        prediction=report(
            f"{TABLES}/granularity_prediction.csv",
            caption="../report/table_granularity_prediction.rst",
            category="granularity",
            subcategory="tables",
            labels={"table": "what predicts them"},
        ),
    log:
        f"{RUN_LOGS}/rank_measures/granularity.log",
    resources:
        mem_mb=growing_memory(2000),
        runtime=growing_time(60),
    params:
        recipe=figure_recipe(
            "granularity",
            "estimator temperature measure basis bootstrap permutations scores",
        ),
    shell:
        "python -m workflow_scripts.rank_measures --recipe {params.recipe:q}"
        " --table {input.table:q}"
        " --measures {input.measures:q}"
        " --best {output.best:q}"
        " --prediction {output.prediction:q}"
        " 2> {log:q}"


rule granularity_resolutions:
    """Accuracy over epsilon at every resolution, and the published figure apart."""
    input:
        code=code_of("plot_resolutions"),
        table=f"{TABLES}/granularity.csv",
        measures=f"{TABLES}/granularity_measures.csv",
    output:
        report(
            f"{FIGURES}/granularity/resolutions.svg",
            caption="../report/figure_resolutions.rst",
            category="granularity",
            subcategory="figures",
            labels={"figure": "accuracy over epsilon, by resolution"},
        ),
    log:
        f"{RUN_LOGS}/figures/granularity_resolutions.log",
    localrule: True
    params:
        recipe=figure_recipe("granularity", "model series scores"),
    shell:
        "python -m workflow_scripts.plot_resolutions --recipe {params.recipe:q}"
        " --table {input.table:q}"
        " --measures {input.measures:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule granularity_best_epsilon:
    """Which epsilon is best at which resolution."""
    input:
        code=code_of("plot_best_epsilon"),
        table=f"{TABLES}/granularity.csv",
        best=f"{TABLES}/granularity_best.csv",
        measures=f"{TABLES}/granularity_measures.csv",
    output:
        report(
            f"{FIGURES}/granularity/best_epsilon.svg",
            caption="../report/figure_best_epsilon.rst",
            category="granularity",
            subcategory="figures",
            labels={"figure": "best epsilon over resolution"},
        ),
    log:
        f"{RUN_LOGS}/figures/granularity_best_epsilon.log",
    localrule: True
    params:
        recipe=figure_recipe("granularity", "model series estimator scores"),
    shell:
        "python -m workflow_scripts.plot_best_epsilon --recipe {params.recipe:q}"
        " --table {input.table:q}"
        " --best {input.best:q}"
        " --measures {input.measures:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule granularity_granularity_measures:
    """Every measure of granularity against the best epsilon."""
    input:
        code=code_of("plot_granularity_measures"),
        table=f"{TABLES}/granularity.csv",
        best=f"{TABLES}/granularity_best.csv",
        measures=f"{TABLES}/granularity_measures.csv",
        prediction=f"{TABLES}/granularity_prediction.csv",
    output:
        report(
            f"{FIGURES}/granularity/granularity_measures.svg",
            caption="../report/figure_granularity_measures.rst",
            category="granularity",
            subcategory="figures",
            labels={"figure": "best epsilon over measures of granularity"},
        ),
    log:
        f"{RUN_LOGS}/figures/granularity_granularity_measures.log",
    localrule: True
    params:
        recipe=figure_recipe("granularity", "model estimator measure basis scores"),
    shell:
        "python -m workflow_scripts.plot_granularity_measures --recipe {params.recipe:q}"
        " --table {input.table:q}"
        " --best {input.best:q}"
        " --measures {input.measures:q}"
        " --prediction {input.prediction:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule granularity_measure_ranking:
    """How well every measure predicts the best epsilon."""
    input:
        code=code_of("plot_measure_ranking"),
        prediction=f"{TABLES}/granularity_prediction.csv",
    output:
        report(
            f"{FIGURES}/granularity/measure_ranking.svg",
            caption="../report/figure_measure_ranking.rst",
            category="granularity",
            subcategory="figures",
            labels={"figure": "what predicts the best epsilon"},
        ),
    log:
        f"{RUN_LOGS}/figures/granularity_measure_ranking.log",
    localrule: True
    params:
        recipe=figure_recipe("granularity", "model estimator measure basis scores"),
    shell:
        "python -m workflow_scripts.plot_measure_ranking --recipe {params.recipe:q}"
        " --prediction {input.prediction:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule granularity_page:
    """Prose: what was asked, how it was measured, what came out."""
    input:
        code=code_of("write_granularity_page"),
        templates=page_templates("granularity"),
        table=f"{TABLES}/granularity.csv",
        sources=f"{TABLES}/granularity_sources.csv",
        measures=f"{TABLES}/granularity_measures.csv",
        best=f"{TABLES}/granularity_best.csv",
        prediction=f"{TABLES}/granularity_prediction.csv",
        resolutions_figure=f"{FIGURES}/granularity/resolutions.svg",
        best_epsilon_figure=f"{FIGURES}/granularity/best_epsilon.svg",
        granularity_measures_figure=f"{FIGURES}/granularity/granularity_measures.svg",
        measure_ranking_figure=f"{FIGURES}/granularity/measure_ranking.svg",
    output:
        report(
            f"{OUTPUT}/pages/granularity.html",
            caption="../report/page_granularity.rst",
            category="granularity",
            subcategory="page",
            labels={"page": "what was asked, measured and found"},
        ),
    log:
        f"{RUN_LOGS}/figures/granularity_page.log",
    localrule: True
    params:
        recipe=page_recipe("granularity"),
    shell:
        "python -m workflow_scripts.write_granularity_page --recipe {params.recipe:q}"
        " --template rules/report/granularity.html.j2"
        " --table {input.table:q}"
        " --sources {input.sources:q}"
        " --measures {input.measures:q}"
        " --best {input.best:q}"
        " --prediction {input.prediction:q}"
        " --figures"
        " resolutions={input.resolutions_figure:q}"
        " best_epsilon={input.best_epsilon_figure:q}"
        " granularity_measures={input.granularity_measures_figure:q}"
        " measure_ranking={input.measure_ranking_figure:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule granularity:
    """Target: the study's tables, figures and page."""
    input:
        tables_of("granularity"),
        figures_of("granularity"),
