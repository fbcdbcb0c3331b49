# REQUIRED INPUTS: the table that rules/metrics.smk gathers from transfers and evaluations
# OUTPUTS: results/tables/fixed_vs_full_{summary,best,selection,correlations}.csv,
# results/figures/fixed_vs_full/*.svg, results/pages/fixed_vs_full.html


rule summarise_transfers:
    """All-of and best-of tables, choices on test images, correlations of both modes."""
    input:
        code=code_of("summarise_transfers"),
        table=f"{TABLES}/fixed_vs_full.csv",
    output:
        summary=report(
            f"{TABLES}/fixed_vs_full_summary.csv",
            caption="../report/table_transfer_summary.rst",
            category="fixed_vs_full",
            subcategory="tables",
            labels={"table": "all sources"},
        ),
        best=report(
            f"{TABLES}/fixed_vs_full_best.csv",
            caption="../report/table_transfer_best.rst",
            category="fixed_vs_full",
            subcategory="tables",
            labels={"table": "best robust sources"},
        ),
        selection=report(
            f"{TABLES}/fixed_vs_full_selection.csv",
            caption="../report/table_transfer_selection.rst",
            category="fixed_vs_full",
            subcategory="tables",
            labels={"table": "chosen on test images"},
        ),
        correlations=report(
            f"{TABLES}/fixed_vs_full_correlations.csv",
            caption="../report/table_transfer_correlations.rst",
            category="fixed_vs_full",
            subcategory="tables",
            labels={"table": "fixed against full"},
        ),
    log:
        f"{RUN_LOGS}/summarise_transfers/fixed_vs_full.log",
    resources:
        mem_mb=growing_memory(2000),
        runtime=growing_time(60),
    params:
        recipe=lambda w: plans.summary_recipe(PLAN, "fixed_vs_full"),
    shell:
        "python -m workflow_scripts.summarise_transfers --recipe {params.recipe:q}"
        " --table {input.table:q}"
        " --summary {output.summary:q}"
        " --best {output.best:q}"
        " --selection {output.selection:q}"
        " --correlations {output.correlations:q}"
        " 2> {log:q}"


rule fixed_vs_full_over_epsilon:
    """Accuracy over the epsilon of the sources."""
    input:
        code=code_of("plot_over_epsilon"),
        summary=f"{TABLES}/fixed_vs_full_summary.csv",
        best=f"{TABLES}/fixed_vs_full_best.csv",
    output:
        report(
            f"{FIGURES}/fixed_vs_full/over_epsilon.svg",
            caption="../report/figure_over_epsilon.rst",
            category="fixed_vs_full",
            subcategory="figures",
            labels={"figure": "accuracy over epsilon"},
        ),
    log:
        f"{RUN_LOGS}/figures/fixed_vs_full_over_epsilon.log",
    localrule: True
    params:
        recipe=figure_recipe("fixed_vs_full", "baseline targets trainings"),
    shell:
        "python -m workflow_scripts.plot_over_epsilon --recipe {params.recipe:q}"
        " --summary {input.summary:q}"
        " --best {input.best:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule fixed_vs_full_best_of:
    """The best robust source and the natural one."""
    input:
        code=code_of("plot_best_of"),
        best=f"{TABLES}/fixed_vs_full_best.csv",
    output:
        report(
            f"{FIGURES}/fixed_vs_full/best_of.svg",
            caption="../report/figure_best_of.rst",
            category="fixed_vs_full",
            subcategory="figures",
            labels={"figure": "best robust and natural"},
        ),
    log:
        f"{RUN_LOGS}/figures/fixed_vs_full_best_of.log",
    localrule: True
    params:
        recipe=figure_recipe("fixed_vs_full", "baseline targets trainings"),
    shell:
        "python -m workflow_scripts.plot_best_of --recipe {params.recipe:q}"
        " --best {input.best:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule fixed_vs_full_fixed_against_full:
    """Fixed-feature against full-network accuracy."""
    input:
        code=code_of("plot_fixed_against_full"),
        summary=f"{TABLES}/fixed_vs_full_summary.csv",
        correlations=f"{TABLES}/fixed_vs_full_correlations.csv",
    output:
        report(
            f"{FIGURES}/fixed_vs_full/fixed_against_full.svg",
            caption="../report/figure_fixed_against_full.rst",
            category="fixed_vs_full",
            subcategory="figures",
            labels={"figure": "fixed-feature against full-network"},
        ),
    log:
        f"{RUN_LOGS}/figures/fixed_vs_full_fixed_against_full.log",
    localrule: True
    params:
        recipe=figure_recipe("fixed_vs_full", "baseline targets trainings"),
    shell:
        "python -m workflow_scripts.plot_fixed_against_full --recipe {params.recipe:q}"
        " --summary {input.summary:q}"
        " --correlations {input.correlations:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule fixed_vs_full_selection:
    """What choosing on test images would have added."""
    input:
        code=code_of("plot_selection"),
        selection=f"{TABLES}/fixed_vs_full_selection.csv",
    output:
        report(
            f"{FIGURES}/fixed_vs_full/selection.svg",
            caption="../report/figure_selection.rst",
            category="fixed_vs_full",
            subcategory="figures",
            labels={"figure": "chosen on test images"},
        ),
    log:
        f"{RUN_LOGS}/figures/fixed_vs_full_selection.log",
    localrule: True
    params:
        recipe=figure_recipe("fixed_vs_full", "baseline targets trainings"),
    shell:
        "python -m workflow_scripts.plot_selection --recipe {params.recipe:q}"
        " --selection {input.selection:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule fixed_vs_full_published_transfers:
    """Published and ours."""
    input:
        code=code_of("plot_published_transfers"),
        summary=f"{TABLES}/fixed_vs_full_summary.csv",
        best=f"{TABLES}/fixed_vs_full_best.csv",
    output:
        report(
            f"{FIGURES}/fixed_vs_full/published_transfers.svg",
            caption="../report/figure_published_transfers.rst",
            category="fixed_vs_full",
            subcategory="figures",
            labels={"figure": "published and ours"},
        ),
    log:
        f"{RUN_LOGS}/figures/fixed_vs_full_published_transfers.log",
    localrule: True
    params:
        recipe=figure_recipe("fixed_vs_full", "baseline targets trainings"),
    shell:
        "python -m workflow_scripts.plot_published_transfers --recipe {params.recipe:q}"
        " --summary {input.summary:q}"
        " --best {input.best:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule fixed_vs_full_page:
    """Prose: what was asked, how it was measured, what came out."""
    input:
        code=code_of("write_transfer_page"),
        templates=page_templates("fixed_vs_full"),
        summary=f"{TABLES}/fixed_vs_full_summary.csv",
        best=f"{TABLES}/fixed_vs_full_best.csv",
        selection=f"{TABLES}/fixed_vs_full_selection.csv",
        correlations=f"{TABLES}/fixed_vs_full_correlations.csv",
        sources=f"{TABLES}/fixed_vs_full_sources.csv",
        over_epsilon_figure=f"{FIGURES}/fixed_vs_full/over_epsilon.svg",
        best_of_figure=f"{FIGURES}/fixed_vs_full/best_of.svg",
        fixed_against_full_figure=f"{FIGURES}/fixed_vs_full/fixed_against_full.svg",
        selection_figure=f"{FIGURES}/fixed_vs_full/selection.svg",
        published_transfers_figure=f"{FIGURES}/fixed_vs_full/published_transfers.svg",
    output:
        report(
            f"{OUTPUT}/pages/fixed_vs_full.html",
            caption="../report/page_fixed_vs_full.rst",
            category="fixed_vs_full",
            subcategory="page",
            labels={"page": "what was asked, measured and found"},
        ),
    log:
        f"{RUN_LOGS}/figures/fixed_vs_full_page.log",
    localrule: True
    params:
        recipe=page_recipe("fixed_vs_full"),
    shell:
        "python -m workflow_scripts.write_transfer_page --recipe {params.recipe:q}"
        " --template rules/report/fixed_vs_full.html.j2"
        " --summary {input.summary:q}"
        " --best {input.best:q}"
        " --selection {input.selection:q}"
        " --correlations {input.correlations:q}"
        " --sources {input.sources:q}"
        " --figures"
        " over_epsilon={input.over_epsilon_figure:q}"
        " best_of={input.best_of_figure:q}"
        " fixed_against_full={input.fixed_against_full_figure:q}"
        " selection={input.selection_figure:q}"
        " published_transfers={input.published_transfers_figure:q}"
        " --output {output:q}"
        " 2> {log:q}"


rule fixed_vs_full:
    """Target: the study's tables, figures and page."""
    input:
        tables_of("fixed_vs_full"),
        figures_of("fixed_vs_full"),
