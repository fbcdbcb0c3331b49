# REQUIRED INPUTS: subsets, evaluations and similarities of rules/transfers.smk and sources.smk
# OUTPUTS: results/tables/data_efficiency*.csv, results/figures/data_efficiency/*.svg,
# results/pages/data_efficiency.html


rule collect_data_efficiency:
    """All artefacts of the study as tidy tables."""
    input:
        PLAN.studies["data_efficiency"].files(),
        code=code_of("collect_data_efficiency"),
    output:
        table=f"{TABLES}/data_efficiency.csv",
        curves=f"{TABLES}/data_efficiency_curves.csv",
        robustness=f"{TABLES}/data_efficiency_robustness.csv",
        sources=report(
            f"{TABLES}/data_efficiency_sources.csv",
            caption="../report/table_sources.rst",
            category="data_efficiency",
            subcategory="tables",
            labels={"table": "sources"},
        ),
        similarity=report(
            f"{TABLES}/data_efficiency_similarity.csv",
            caption="../report/table_similarity.rst",
            category="data_efficiency",
            subcategory="tables",
            labels={"table": "similarity"},
        ),
    log:
        f"{RUN_LOGS}/collect_data_efficiency/data_efficiency.log",
    resources:
        mem_mb=growing_memory(2000),
        runtime=growing_time(60),
    params:
        recipe=lambda w: plans.study_config(config, "data_efficiency"),
        root=root_of,
    shell:
        "python -m workflow_scripts.collect_data_efficiency --recipe {params.recipe:q}"
        " --root {params.root:q}"
        " --table {output.table:q}"
        " --curves {output.curves:q}"
        " --robustness {output.robustness:q}"
        " --sources {output.sources:q}"
        " --similarity {output.similarity:q}"
        " 2> {log:q}"


rule compare_transfers:
    """Paired differences between transfers, with intervals."""
    input:
        code=code_of("compare_transfers"),
        curves=f"{TABLES}/data_efficiency_curves.csv",
        robustness=f"{TABLES}/data_efficiency_robustness.csv",
    output:
        report(
            f"{TABLES}/data_efficiency_differences.csv",
            caption="../report/table_differences.rst",
            category="data_efficiency",
            subcategory="tables",
            labels={"table": "paired differences"},
        ),
    log:
        f"{RUN_LOGS}/compare_transfers/data_efficiency.log",
    resources:
        mem_mb=growing_memory(2000),
        runtime=growing_time(60),
    params:
        recipe=figure_recipe("data_efficiency", "baseline grids"),
    shell:
        "python -m workflow_scripts.compare_transfers --recipe {params.recipe:q}"
        " --curves {input.curves:q}"
        " --robustness {input.robustness:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule data_efficiency_fewer_images:
    """Accuracy over images of the target."""
    input:
        code=code_of("plot_fewer_images"),
        table=f"{TABLES}/data_efficiency.csv",
        differences=f"{TABLES}/data_efficiency_differences.csv",
    output:
        report(
            f"{FIGURES}/data_efficiency/fewer_images.svg",
            caption="../report/figure_fewer_images.rst",
            category="data_efficiency",
            subcategory="figures",
            labels={"figure": "accuracy over images of the target"},
        ),
    log:
        f"{RUN_LOGS}/figures/data_efficiency_fewer_images.log",
    localrule: True
    params:
        recipe=figure_recipe(
            "data_efficiency", "baseline robust model grids trainings targets"
        ),
    shell:
        "python -m workflow_scripts.plot_fewer_images --recipe {params.recipe:q}"
        " --table {input.table:q}"
        " --differences {input.differences:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule data_efficiency_fewer_epochs:
    """Accuracy over epochs."""
    input:
        code=code_of("plot_fewer_epochs"),
        curves=f"{TABLES}/data_efficiency_curves.csv",
        differences=f"{TABLES}/data_efficiency_differences.csv",
    output:
        report(
            f"{FIGURES}/data_efficiency/fewer_epochs.svg",
            caption="../report/figure_fewer_epochs.rst",
            category="data_efficiency",
            subcategory="figures",
            labels={"figure": "accuracy over epochs"},
        ),
    log:
        f"{RUN_LOGS}/figures/data_efficiency_fewer_epochs.log",
    localrule: True
    params:
        recipe=figure_recipe(
            "data_efficiency", "baseline robust model grids trainings targets"
        ),
    shell:
        "python -m workflow_scripts.plot_fewer_epochs --recipe {params.recipe:q}"
        " --curves {input.curves:q}"
        " --differences {input.differences:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule data_efficiency_unfrozen_blocks:
    """How many blocks to unfreeze."""
    input:
        code=code_of("plot_unfrozen_blocks"),
        table=f"{TABLES}/data_efficiency.csv",
        differences=f"{TABLES}/data_efficiency_differences.csv",
    output:
        report(
            f"{FIGURES}/data_efficiency/unfrozen_blocks.svg",
            caption="../report/figure_unfrozen_blocks.rst",
            category="data_efficiency",
            subcategory="figures",
            labels={"figure": "how many blocks to unfreeze"},
        ),
    log:
        f"{RUN_LOGS}/figures/data_efficiency_unfrozen_blocks.log",
    localrule: True
    params:
        recipe=figure_recipe(
            "data_efficiency", "baseline robust model grids trainings targets"
        ),
    shell:
        "python -m workflow_scripts.plot_unfrozen_blocks --recipe {params.recipe:q}"
        " --table {input.table:q}"
        " --differences {input.differences:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule data_efficiency_constraints:
    """Which constraint of the source's training."""
    input:
        code=code_of("plot_constraints"),
        differences=f"{TABLES}/data_efficiency_differences.csv",
    output:
        report(
            f"{FIGURES}/data_efficiency/constraints.svg",
            caption="../report/figure_constraints.rst",
            category="data_efficiency",
            subcategory="figures",
            labels={"figure": "which constraint"},
        ),
    log:
        f"{RUN_LOGS}/figures/data_efficiency_constraints.log",
    localrule: True
    params:
        recipe=figure_recipe(
            "data_efficiency", "baseline model grids trainings targets"
        ),
    shell:
        "python -m workflow_scripts.plot_constraints --recipe {params.recipe:q}"
        " --differences {input.differences:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule data_efficiency_statistics:
    """Moving batch norm statistics."""
    input:
        code=code_of("plot_statistics"),
        differences=f"{TABLES}/data_efficiency_differences.csv",
    output:
        report(
            f"{FIGURES}/data_efficiency/statistics.svg",
            caption="../report/figure_statistics.rst",
            category="data_efficiency",
            subcategory="figures",
            labels={"figure": "moving batch norm statistics"},
        ),
    log:
        f"{RUN_LOGS}/figures/data_efficiency_statistics.log",
    localrule: True
    params:
        recipe=figure_recipe("data_efficiency", "model grids trainings targets"),
    shell:
        "python -m workflow_scripts.plot_statistics --recipe {params.recipe:q}"
        " --differences {input.differences:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule data_efficiency_transferred_robustness:
    """Robustness of the transferred networks."""
    input:
        code=code_of("plot_transferred_robustness"),
        robustness=f"{TABLES}/data_efficiency_robustness.csv",
    output:
        report(
            f"{FIGURES}/data_efficiency/transferred_robustness.svg",
            caption="../report/figure_transferred_robustness.rst",
            category="data_efficiency",
            subcategory="figures",
            labels={"figure": "robustness of the transferred networks"},
        ),
    log:
        f"{RUN_LOGS}/figures/data_efficiency_transferred_robustness.log",
    localrule: True
    params:
        recipe=figure_recipe("data_efficiency", "model grids trainings targets"),
    shell:
        "python -m workflow_scripts.plot_transferred_robustness --recipe {params.recipe:q}"
        " --robustness {input.robustness:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule data_efficiency_similarity:
    """What is best, by distance from the source."""
    input:
        code=code_of("plot_similarity"),
        table=f"{TABLES}/data_efficiency.csv",
        similarity=f"{TABLES}/data_efficiency_similarity.csv",
    output:
        report(
            f"{FIGURES}/data_efficiency/similarity.svg",
            caption="../report/figure_similarity.rst",
            category="data_efficiency",
            subcategory="figures",
            labels={"figure": "what is best, by distance from the source"},
        ),
    log:
        f"{RUN_LOGS}/figures/data_efficiency_similarity.log",
    localrule: True
    params:
        recipe=figure_recipe(
            "data_efficiency", "baseline robust model grids trainings targets"
        ),
    shell:
        "python -m workflow_scripts.plot_similarity --recipe {params.recipe:q}"
        " --table {input.table:q}"
        " --similarity {input.similarity:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule data_efficiency_cost:
    """Accuracy and cost of the sources."""
    input:
        code=code_of("plot_cost"),
        sources=f"{TABLES}/data_efficiency_sources.csv",
        table=f"{TABLES}/data_efficiency.csv",
    output:
        report(
            f"{FIGURES}/data_efficiency/cost.svg",
            caption="../report/figure_cost.rst",
            category="data_efficiency",
            subcategory="figures",
            labels={"figure": "accuracy and cost of the sources"},
        ),
    log:
        f"{RUN_LOGS}/figures/data_efficiency_cost.log",
    localrule: True
    params:
        recipe=figure_recipe(
            "data_efficiency", "baseline robust model grids trainings targets"
        ),
    shell:
        "python -m workflow_scripts.plot_cost --recipe {params.recipe:q}"
        " --sources {input.sources:q}"
        " --table {input.table:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule data_efficiency_published_efficiency:
    """Published and ours."""
    input:
        code=code_of("plot_published_efficiency"),
        differences=f"{TABLES}/data_efficiency_differences.csv",
    output:
        report(
            f"{FIGURES}/data_efficiency/published_efficiency.svg",
            caption="../report/figure_published_efficiency.rst",
            category="data_efficiency",
            subcategory="figures",
            labels={"figure": "published and ours"},
        ),
    log:
        f"{RUN_LOGS}/figures/data_efficiency_published_efficiency.log",
    localrule: True
    params:
        recipe=figure_recipe(
            "data_efficiency", "baseline robust model grids trainings targets"
        ),
    shell:
        "python -m workflow_scripts.plot_published_efficiency --recipe {params.recipe:q}"
        " --differences {input.differences:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule data_efficiency_page:
    """Prose: what was asked, how it was measured, what came out."""
    input:
        code=code_of("write_efficiency_page"),
        templates=page_templates("data_efficiency"),
        differences=f"{TABLES}/data_efficiency_differences.csv",
        sources=f"{TABLES}/data_efficiency_sources.csv",
        similarity=f"{TABLES}/data_efficiency_similarity.csv",
        fewer_images_figure=f"{FIGURES}/data_efficiency/fewer_images.svg",
        fewer_epochs_figure=f"{FIGURES}/data_efficiency/fewer_epochs.svg",
        unfrozen_blocks_figure=f"{FIGURES}/data_efficiency/unfrozen_blocks.svg",
        constraints_figure=f"{FIGURES}/data_efficiency/constraints.svg",
        statistics_figure=f"{FIGURES}/data_efficiency/statistics.svg",
        transferred_robustness_figure=f"{FIGURES}/data_efficiency/transferred_robustness.svg",
        similarity_figure=f"{FIGURES}/data_efficiency/similarity.svg",
        cost_figure=f"{FIGURES}/data_efficiency/cost.svg",
        published_efficiency_figure=f"{FIGURES}/data_efficiency/published_efficiency.svg",
    output:
        report(
            f"{OUTPUT}/pages/data_efficiency.html",
            caption="../report/page_data_efficiency.rst",
            category="data_efficiency",
            subcategory="page",
            labels={"page": "what was asked, measured and found"},
        ),
    log:
        f"{RUN_LOGS}/figures/data_efficiency_page.log",
    localrule: True
    params:
        recipe=page_recipe("data_efficiency"),
    shell:
        "python -m workflow_scripts.write_efficiency_page --recipe {params.recipe:q}"
        " --template rules/report/data_efficiency.html.j2"
        " --differences {input.differences:q}"
        " --sources {input.sources:q}"
        " --similarity {input.similarity:q}"
        " --figures"
        " fewer_images={input.fewer_images_figure:q}"
        " fewer_epochs={input.fewer_epochs_figure:q}"
        " unfrozen_blocks={input.unfrozen_blocks_figure:q}"
        " constraints={input.constraints_figure:q}"
        " statistics={input.statistics_figure:q}"
        " transferred_robustness={input.transferred_robustness_figure:q}"
        " similarity={input.similarity_figure:q}"
        " cost={input.cost_figure:q}"
        " published_efficiency={input.published_efficiency_figure:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule data_efficiency:
    """Target: the study's tables, figures and page."""
    input:
        tables_of("data_efficiency"),
        figures_of("data_efficiency"),
