rule report:
    input: rules.tables.input
    output: REPORT
    shell: "touch {output}"
