# REQUIRED INPUTS: the study's tables of rules/metrics.smk
# OUTPUTS: results/figures/knowledge_to_adversarial/*.svg, results/pages/knowledge_to_adversarial.html


rule knowledge_to_adversarial_mixture_bars:
    """Bars by share of animals."""
    input:
        code=code_of("plot_mixture_bars"),
        table=f"{TABLES}/knowledge_to_adversarial.csv",
    output:
        report(
            f"{FIGURES}/knowledge_to_adversarial/mixture_bars.svg",
            caption="../report/figure_mixture_bars.rst",
            category="knowledge_to_adversarial",
            subcategory="figures",
            labels={"figure": "bars by share of animals"},
        ),
    log:
        f"{RUN_LOGS}/figures/knowledge_to_adversarial_mixture_bars.log",
    localrule: True
    params:
        recipe=figure_recipe(
            "knowledge_to_adversarial", "reference attack norm epsilon targets"
        ),
    shell:
        "python -m workflow_scripts.plot_mixture_bars --recipe {params.recipe:q}"
        " --table {input.table:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule knowledge_to_adversarial_mixture_scatter:
    """Metrics against transfer accuracy."""
    input:
        code=code_of("plot_mixture_scatter"),
        table=f"{TABLES}/knowledge_to_adversarial.csv",
        correlations=f"{TABLES}/knowledge_to_adversarial_correlations.csv",
    output:
        report(
            f"{FIGURES}/knowledge_to_adversarial/mixture_scatter.svg",
            caption="../report/figure_mixture_scatter.rst",
            category="knowledge_to_adversarial",
            subcategory="figures",
            labels={"figure": "metrics against transfer accuracy"},
        ),
    log:
        f"{RUN_LOGS}/figures/knowledge_to_adversarial_mixture_scatter.log",
    localrule: True
    params:
        recipe=figure_recipe(
            "knowledge_to_adversarial",
            "reference attack norm epsilon direction transfer targets",
        ),
    shell:
        "python -m workflow_scripts.plot_mixture_scatter --recipe {params.recipe:q}"
        " --table {input.table:q}"
        " --correlations {input.correlations:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule knowledge_to_adversarial_correlations_over_epsilon:
    """Correlations over epsilon."""
    input:
        code=code_of("plot_correlations_over_epsilon"),
        correlations=f"{TABLES}/knowledge_to_adversarial_correlations.csv",
    output:
        report(
            f"{FIGURES}/knowledge_to_adversarial/correlations_over_epsilon.svg",
            caption="../report/figure_correlations_over_epsilon.rst",
            category="knowledge_to_adversarial",
            subcategory="figures",
            labels={"figure": "correlations over epsilon"},
        ),
    log:
        f"{RUN_LOGS}/figures/knowledge_to_adversarial_correlations_over_epsilon.log",
    localrule: True
    params:
        recipe=figure_recipe("knowledge_to_adversarial", "target reference transfer"),
    shell:
        "python -m workflow_scripts.plot_correlations_over_epsilon --recipe {params.recipe:q}"
        " --correlations {input.correlations:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule knowledge_to_adversarial_per_image:
    """Per image."""
    input:
        code=code_of("plot_per_image"),
        per_image=f"{TABLES}/knowledge_to_adversarial_per_image.csv",
    output:
        report(
            f"{FIGURES}/knowledge_to_adversarial/per_image.svg",
            caption="../report/figure_per_image.rst",
            category="knowledge_to_adversarial",
            subcategory="figures",
            labels={"figure": "per image"},
        ),
    log:
        f"{RUN_LOGS}/figures/knowledge_to_adversarial_per_image.log",
    localrule: True
    params:
        recipe=figure_recipe(
            "knowledge_to_adversarial",
            "target reference direction attack norm epsilon",
        ),
    shell:
        "python -m workflow_scripts.plot_per_image --recipe {params.recipe:q}"
        " --per-image {input.per_image:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule knowledge_to_adversarial_sources:
    """Accuracy of the sources."""
    input:
        code=code_of("plot_sources"),
        sources=f"{TABLES}/knowledge_to_adversarial_sources.csv",
    output:
        report(
            f"{FIGURES}/knowledge_to_adversarial/sources.svg",
            caption="../report/figure_sources.rst",
            category="knowledge_to_adversarial",
            subcategory="figures",
            labels={"figure": "accuracy of the sources"},
        ),
    log:
        f"{RUN_LOGS}/figures/knowledge_to_adversarial_sources.log",
    localrule: True
    params:
        recipe=figure_recipe("knowledge_to_adversarial", ""),
    shell:
        "python -m workflow_scripts.plot_sources --recipe {params.recipe:q}"
        " --sources {input.sources:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule knowledge_to_adversarial_transfer_curves:
    """Transfer over epochs."""
    input:
        code=code_of("plot_transfer_curves"),
        curves=f"{TABLES}/knowledge_to_adversarial_curves.csv",
    output:
        report(
            f"{FIGURES}/knowledge_to_adversarial/transfer_curves.svg",
            caption="../report/figure_transfer_curves.rst",
            category="knowledge_to_adversarial",
            subcategory="figures",
            labels={"figure": "transfer over epochs"},
        ),
    log:
        f"{RUN_LOGS}/figures/knowledge_to_adversarial_transfer_curves.log",
    localrule: True
    params:
        recipe=figure_recipe("knowledge_to_adversarial", "targets"),
    shell:
        "python -m workflow_scripts.plot_transfer_curves --recipe {params.recipe:q}"
        " --curves {input.curves:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule knowledge_to_adversarial_page:
    """Prose: what was asked, how it was measured, what came out."""
    input:
        code=code_of("write_study_page"),
        templates=page_templates("knowledge_to_adversarial"),
        table=f"{TABLES}/knowledge_to_adversarial.csv",
        correlations=f"{TABLES}/knowledge_to_adversarial_correlations.csv",
        sources=f"{TABLES}/knowledge_to_adversarial_sources.csv",
        mixture_bars_figure=f"{FIGURES}/knowledge_to_adversarial/mixture_bars.svg",
        mixture_scatter_figure=f"{FIGURES}/knowledge_to_adversarial/mixture_scatter.svg",
        correlations_over_epsilon_figure=f"{FIGURES}/knowledge_to_adversarial/correlations_over_epsilon.svg",
        per_image_figure=f"{FIGURES}/knowledge_to_adversarial/per_image.svg",
        sources_figure=f"{FIGURES}/knowledge_to_adversarial/sources.svg",
        transfer_curves_figure=f"{FIGURES}/knowledge_to_adversarial/transfer_curves.svg",
    output:
        report(
            f"{OUTPUT}/pages/knowledge_to_adversarial.html",
            caption="../report/page_knowledge_to_adversarial.rst",
            category="knowledge_to_adversarial",
            subcategory="page",
            labels={"page": "what was asked, measured and found"},
        ),
    log:
        f"{RUN_LOGS}/figures/knowledge_to_adversarial_page.log",
    localrule: True
    params:
        recipe=page_recipe("knowledge_to_adversarial"),
    shell:
        "python -m workflow_scripts.write_study_page --recipe {params.recipe:q}"
        " --template rules/report/knowledge_to_adversarial.html.j2"
        " --table {input.table:q}"
        " --correlations {input.correlations:q}"
        " --sources {input.sources:q}"
        " --figures"
        " mixture_bars={input.mixture_bars_figure:q}"
        " mixture_scatter={input.mixture_scatter_figure:q}"
        " correlations_over_epsilon={input.correlations_over_epsilon_figure:q}"
        " per_image={input.per_image_figure:q}"
        " sources={input.sources_figure:q}"
        " transfer_curves={input.transfer_curves_figure:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule knowledge_to_adversarial:
    """Target: the study's tables, figures and page."""
    input:
        tables_of("knowledge_to_adversarial"),
        figures_of("knowledge_to_adversarial"),
