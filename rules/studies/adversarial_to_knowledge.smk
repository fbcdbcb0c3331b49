# REQUIRED INPUTS: the study's tables of rules/metrics.smk
# OUTPUTS: results/figures/adversarial_to_knowledge/*.svg, results/pages/adversarial_to_knowledge.html


rule adversarial_to_knowledge_transfer_scatter:
    """Metrics against transfer accuracy."""
    input:
        code=code_of("plot_transfer_scatter"),
        table=f"{TABLES}/adversarial_to_knowledge.csv",
        correlations=f"{TABLES}/adversarial_to_knowledge_correlations.csv",
    output:
        report(
            f"{FIGURES}/adversarial_to_knowledge/transfer_scatter.svg",
            caption="../report/figure_transfer_scatter.rst",
            category="adversarial_to_knowledge",
            subcategory="figures",
            labels={"figure": "metrics against transfer accuracy"},
        ),
    log:
        f"{RUN_LOGS}/figures/adversarial_to_knowledge_transfer_scatter.log",
    localrule: True
    params:
        recipe=figure_recipe(
            "adversarial_to_knowledge", "target reference attack norm epsilon transfer"
        ),
    shell:
        "python -m workflow_scripts.plot_transfer_scatter --recipe {params.recipe:q}"
        " --table {input.table:q}"
        " --correlations {input.correlations:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule adversarial_to_knowledge_published:
    """Published and ours."""
    input:
        code=code_of("plot_published"),
        table=f"{TABLES}/adversarial_to_knowledge.csv",
        correlations=f"{TABLES}/adversarial_to_knowledge_correlations.csv",
    output:
        report(
            f"{FIGURES}/adversarial_to_knowledge/published.svg",
            caption="../report/figure_published.rst",
            category="adversarial_to_knowledge",
            subcategory="figures",
            labels={"figure": "published and ours"},
        ),
    log:
        f"{RUN_LOGS}/figures/adversarial_to_knowledge_published.log",
    localrule: True
    params:
        recipe=figure_recipe(
            "adversarial_to_knowledge", "target reference attack norm epsilon"
        ),
    shell:
        "python -m workflow_scripts.plot_published --recipe {params.recipe:q}"
        " --table {input.table:q}"
        " --correlations {input.correlations:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule adversarial_to_knowledge_correlations_over_epsilon:
    """Correlations over epsilon."""
    input:
        code=code_of("plot_correlations_over_epsilon"),
        correlations=f"{TABLES}/adversarial_to_knowledge_correlations.csv",
    output:
        report(
            f"{FIGURES}/adversarial_to_knowledge/correlations_over_epsilon.svg",
            caption="../report/figure_correlations_over_epsilon.rst",
            category="adversarial_to_knowledge",
            subcategory="figures",
            labels={"figure": "correlations over epsilon"},
        ),
    log:
        f"{RUN_LOGS}/figures/adversarial_to_knowledge_correlations_over_epsilon.log",
    localrule: True
    params:
        recipe=figure_recipe("adversarial_to_knowledge", "target reference transfer"),
    shell:
        "python -m workflow_scripts.plot_correlations_over_epsilon --recipe {params.recipe:q}"
        " --correlations {input.correlations:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule adversarial_to_knowledge_per_image:
    """Per image."""
    input:
        code=code_of("plot_per_image"),
        per_image=f"{TABLES}/adversarial_to_knowledge_per_image.csv",
    output:
        report(
            f"{FIGURES}/adversarial_to_knowledge/per_image.svg",
            caption="../report/figure_per_image.rst",
            category="adversarial_to_knowledge",
            subcategory="figures",
            labels={"figure": "per image"},
        ),
    log:
        f"{RUN_LOGS}/figures/adversarial_to_knowledge_per_image.log",
    localrule: True
    params:
        recipe=figure_recipe(
            "adversarial_to_knowledge",
            "target reference direction attack norm epsilon",
        ),
    shell:
        "python -m workflow_scripts.plot_per_image --recipe {params.recipe:q}"
        " --per-image {input.per_image:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule adversarial_to_knowledge_sources:
    """Accuracy of the sources."""
    input:
        code=code_of("plot_sources"),
        sources=f"{TABLES}/adversarial_to_knowledge_sources.csv",
    output:
        report(
            f"{FIGURES}/adversarial_to_knowledge/sources.svg",
            caption="../report/figure_sources.rst",
            category="adversarial_to_knowledge",
            subcategory="figures",
            labels={"figure": "accuracy of the sources"},
        ),
    log:
        f"{RUN_LOGS}/figures/adversarial_to_knowledge_sources.log",
    localrule: True
    params:
        recipe=figure_recipe("adversarial_to_knowledge", ""),
    shell:
        "python -m workflow_scripts.plot_sources --recipe {params.recipe:q}"
        " --sources {input.sources:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule adversarial_to_knowledge_transfer_curves:
    """Transfer over epochs."""
    input:
        code=code_of("plot_transfer_curves"),
        curves=f"{TABLES}/adversarial_to_knowledge_curves.csv",
    output:
        report(
            f"{FIGURES}/adversarial_to_knowledge/transfer_curves.svg",
            caption="../report/figure_transfer_curves.rst",
            category="adversarial_to_knowledge",
            subcategory="figures",
            labels={"figure": "transfer over epochs"},
        ),
    log:
        f"{RUN_LOGS}/figures/adversarial_to_knowledge_transfer_curves.log",
    localrule: True
    params:
        recipe=figure_recipe("adversarial_to_knowledge", "targets"),
    shell:
        "python -m workflow_scripts.plot_transfer_curves --recipe {params.recipe:q}"
        " --curves {input.curves:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule adversarial_to_knowledge_page:
    """Prose: what was asked, how it was measured, what came out."""
    input:
        code=code_of("write_study_page"),
        templates=page_templates("adversarial_to_knowledge"),
        table=f"{TABLES}/adversarial_to_knowledge.csv",
        correlations=f"{TABLES}/adversarial_to_knowledge_correlations.csv",
        sources=f"{TABLES}/adversarial_to_knowledge_sources.csv",
        transfer_scatter_figure=f"{FIGURES}/adversarial_to_knowledge/transfer_scatter.svg",
        published_figure=f"{FIGURES}/adversarial_to_knowledge/published.svg",
        correlations_over_epsilon_figure=f"{FIGURES}/adversarial_to_knowledge/correlations_over_epsilon.svg",
        per_image_figure=f"{FIGURES}/adversarial_to_knowledge/per_image.svg",
        sources_figure=f"{FIGURES}/adversarial_to_knowledge/sources.svg",
        transfer_curves_figure=f"{FIGURES}/adversarial_to_knowledge/transfer_curves.svg",
    output:
        report(
            f"{OUTPUT}/pages/adversarial_to_knowledge.html",
            caption="../report/page_adversarial_to_knowledge.rst",
            category="adversarial_to_knowledge",
            subcategory="page",
            labels={"page": "what was asked, measured and found"},
        ),
    log:
        f"{RUN_LOGS}/figures/adversarial_to_knowledge_page.log",
    localrule: True
    params:
        recipe=page_recipe("adversarial_to_knowledge"),
    shell:
        "python -m workflow_scripts.write_study_page --recipe {params.recipe:q}"
        " --template rules/report/adversarial_to_knowledge.html.j2"
        " --table {input.table:q}"
        " --correlations {input.correlations:q}"
        " --sources {input.sources:q}"
        " --figures"
        " transfer_scatter={input.transfer_scatter_figure:q}"
        " published={input.published_figure:q}"
        " correlations_over_epsilon={input.correlations_over_epsilon_figure:q}"
        " per_image={input.per_image_figure:q}"
        " sources={input.sources_figure:q}"
        " transfer_curves={input.transfer_curves_figure:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule adversarial_to_knowledge:
    """Target: the study's tables, figures and page."""
    input:
        tables_of("adversarial_to_knowledge"),
        figures_of("adversarial_to_knowledge"),
