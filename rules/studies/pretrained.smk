# REQUIRED INPUTS: the table that rules/metrics.smk gathers from transfers
# OUTPUTS: none of its own: results/tables/pretrained*.csv


rule pretrained:
    """Target: the study's tables."""
    input:
        tables_of("pretrained"),
