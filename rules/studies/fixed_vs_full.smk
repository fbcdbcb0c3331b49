# REQUIRED INPUTS: transfers of rules/transfers.smk, evaluations of rules/sources.smk
# OUTPUTS: results/tables/fixed_vs_full*.csv (rules/metrics.smk gathers the first three)


rule fixed_vs_full:
    """Target: the study's tables, figures and page."""
    input:
        tables_of("fixed_vs_full"),
        figures_of("fixed_vs_full"),
