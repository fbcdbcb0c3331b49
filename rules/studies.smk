# REQUIRED INPUTS: the artefacts that each study's design names, from the other rules files
# OUTPUTS: results/tables/<study>*.csv, results/figures/<study>/<figure>.svg (or .png),
# results/pages/<study>.html

# A study's parts stand in its folder (workflow_scripts/studies/folders.py says where one is looked
# up). Rules have names: <study>_tables, <study>_analysis, <study>_<figure>, <study>_page, and
# <study> for all of it.


def study_options(study):
    """Param: the options of a generic step that say whose parts it loads."""
    return shlex.join(["--study", study, "--kind", PLAN.kinds[study]])


def slice_of(study):
    """Param: what of the configuration decides the study's tables, as canonical JSON."""
    # A function, as Snakemake would take braces in a text for wildcards.
    return lambda wildcards: PLAN.slices[study]


def study_code(step, study, *parts):
    """Input: a generic step and the modules of the study that it loads, with all they import."""
    files = [folders.find(study, PLAN.kinds[study], f"{part}.py") for part in parts]
    return beside(step_code(step, files))


def table_path(study, table):
    return f"{TABLES}/{folders.table_file(study, table)}"


def table_paths(study, tables):
    """Input: tables of a study, by name."""
    return {table: table_path(study, table) for table in tables}


def reported_tables(study, labels):
    """Output: tables of a study by name; those that have a label are shown in the report."""
    return {
        table: (
            in_report(
                table_path(study, table), study, "table", label, f"tables/{table}"
            )
            if label
            else table_path(study, table)
        )
        for table, label in labels.items()
    }


def in_report(path, study, what, label, caption):
    """Output: a file that the report shows, with its caption."""
    found = folders.caption(study, PLAN.kinds[study], caption)
    return report(
        path,
        caption=str(Path("..") / found) if found else None,
        category=study,
        subcategory=what if what == "page" else f"{what}s",
        labels={what: label},
    )


# A shell command is put together when its job runs, after the loop: what differs from study to study
# therefore stands in params.
def named_input(names):
    """Param: input files by name, as a step takes them: ``table=path sources=path``."""
    return lambda wildcards, input: shlex.join(
        f"{name}={input[name]}" for name in names
    )


def named_output(names):
    """Param: the same for output files."""
    return lambda wildcards, output: shlex.join(
        f"{name}={output[name]}" for name in names
    )


def named_figures(names):
    """Param: the figures that a page shows."""
    return lambda wildcards, input: shlex.join(
        f"{name}={path}" for name, path in zip(names, input.figures)
    )


def shown_files(files):
    """Param: artefacts that a figure shows besides tables; their names are any text."""
    return lambda wildcards, input: (
        shlex.join(["--files", *(f"{n}={path}" for n, path in zip(files, input.files))])
        if files
        else ""
    )


def settings_of(study, names):
    """Param: those of the study's settings, as canonical JSON."""
    return lambda wildcards: guarded(plans.settings_recipe, PLAN, study, names)


def page_settings(study, names):
    """Param: the same for a page, with the facts that it states of the configuration."""
    return lambda wildcards: guarded(plans.page_recipe, PLAN, study, names)


def page_of(study):
    """The study's page, if it has one."""
    there = folders.has_page(study, PLAN.kinds[study])
    return [f"{OUTPUT}/pages/{study}.html"] if there else []


def figure_paths(study):
    """Every figure of a study, by name."""
    found = folders.figures(study, PLAN.kinds[study]).values()
    return {f.name: f"{FIGURES}/{study}/{f.name}.{f.suffix}" for f in found}


def page_templates(study):
    """Input: the template of a study's page, what it may include, and the captions it repeats."""
    places = [*folders.folders(study, PLAN.kinds[study]), folders.TEMPLATES]
    files = {
        file
        for place in places
        for pattern in ("*.html.j2", "figures/*.rst")
        for file in place.glob(pattern)
    }
    return beside(sorted(files))


def captions_of(*studies):
    """Input: the captions of everything that the report shows."""
    places = {folders.TEMPLATES, folders.STUDIES / "tables"}
    for study in studies:
        places |= set(folders.folders(study, PLAN.kinds[study]))
    return beside(sorted(file for place in places for file in place.rglob("*.rst")))


def tables_of(*studies):
    """Input: every table of the studies."""
    return [
        table_path(study, table)
        for study in studies
        for tables in (folders.collected_tables, folders.analysed_tables)
        for table in tables(study, PLAN.kinds[study])
    ]


def figures_of(*studies):
    """Input: every figure and page of the studies."""
    return [
        path
        for study in studies
        for path in [*figure_paths(study).values(), *page_of(study)]
    ]


def concatenated():
    """Tables that studies of the main job have in common, and the files that make them."""
    found = {}
    for study in PLAN.main:
        for table in (
            folders.declared(study, PLAN.kinds[study], "analysis", "CONCATENATED") or ()
        ):
            found.setdefault(table, []).append(table_path(study, table))
    return found


def check_names():
    """Refuse a study that is called like a rule, which its target would replace."""
    taken = {rule.name for rule in workflow.rules} | {
        "tables",
        "figures",
        "report",
        "all",
    }
    for study in PLAN.kinds:
        if study in taken:
            raise UserError(
                f"studies.{study}: the workflow has a target of this name already; call the study "
                "something else."
            )


guarded(check_names)


for study, kind in PLAN.kinds.items():
    collected = folders.collected_tables(study, kind)
    analysed = folders.analysed_tables(study, kind)
    read = folders.declared(study, kind, "analysis", "READS")
    figures = folders.figures(study, kind)
    page_tables = folders.declared(study, kind, "page", "TABLES")

    rule:
        """A study's artefacts as tidy tables."""
        name:
            f"{study}_tables"
        input:
            PLAN.studies[study].files(),
            code=study_code("collect_tables", study, "design", "tables"),
        output:
            **reported_tables(study, collected),
        log:
            f"{RUN_LOGS}/tables/{study}.log",
        resources:
            mem_mb=growing_memory(2000),
            runtime=growing_time(60),
        params:
            study=study_options(study),
            recipe=slice_of(study),
            root=root_of,
            output=named_output(collected),
        shell:
            "python -m workflow_scripts.collect_tables {params.study}"
            " --recipe {params.recipe:q}"
            " --root {params.root:q}"
            " --output {params.output}"
            " 2> {log:q}"

    if analysed:

        rule:
            """What the study's tables say: statistics, with intervals."""
            name:
                f"{study}_analysis"
            input:
                **table_paths(study, read),
                code=study_code("analyse_tables", study, "analysis"),
            output:
                **reported_tables(study, analysed),
            log:
                f"{RUN_LOGS}/analysis/{study}.log",
            resources:
                mem_mb=growing_memory(2000),
                runtime=growing_time(60),
            params:
                study=study_options(study),
                recipe=settings_of(
                    study, folders.declared(study, kind, "analysis", "SETTINGS")
                ),
                tables=named_input(read),
                output=named_output(analysed),
            shell:
                "python -m workflow_scripts.analyse_tables {params.study}"
                " --recipe {params.recipe:q}"
                " --tables {params.tables}"
                " --output {params.output}"
                " 2> {log:q}"

    for figure in figures.values():
        files = PLAN.studies[study].figure_files(figure.name)

        rule:
            """A figure of a study, from its tables."""
            name:
                f"{study}_{figure.name}"
            input:
                **table_paths(study, figure.tables),
                files=[*files.values()],
                code=study_code("draw_figure", study, f"figures/{figure.name}"),
            output:
                in_report(
                    figure_paths(study)[figure.name],
                    study,
                    "figure",
                    figure.label,
                    f"figures/{figure.name}",
                ),
            log:
                f"{RUN_LOGS}/figures/{study}_{figure.name}.log",
            localrule: True
            params:
                study=study_options(study),
                figure=figure.name,
                recipe=settings_of(study, figure.settings),
                tables=named_input(figure.tables),
                files=shown_files(list(files)),
            shell:
                "python -m workflow_scripts.draw_figure {params.study}"
                " --figure {params.figure:q}"
                " --recipe {params.recipe:q}"
                " --tables {params.tables}"
                " {params.files}"
                " --output {output:q}"
                " 2> {log:q}"

    for page in page_of(study):

        rule:
            """Prose: what was asked, how it was measured, what came out."""
            name:
                f"{study}_page"
            input:
                **table_paths(study, page_tables),
                figures=[*figure_paths(study).values()],
                code=study_code("write_page", study, "page"),
                templates=page_templates(study),
            output:
                in_report(
                    page, study, "page", "what was asked, measured and found", "page"
                ),
            log:
                f"{RUN_LOGS}/figures/{study}_page.log",
            localrule: True
            params:
                study=study_options(study),
                recipe=page_settings(
                    study, folders.declared(study, kind, "page", "SETTINGS")
                ),
                tables=named_input(page_tables),
                figures=named_figures(list(figures)),
            shell:
                "python -m workflow_scripts.write_page {params.study}"
                " --recipe {params.recipe:q}"
                " --tables {params.tables}"
                " --figures {params.figures}"
                " --output {output:q}"
                " 2> {log:q}"

    rule:
        """Target: a study's tables, figures and page."""
        name:
            study
        input:
            tables_of(study),
            figures_of(study),


for table, files in concatenated().items():

    rule:
        """A table that all studies of the main job have, in one file."""
        name:
            table
        input:
            code=code_of("concatenate_tables"),
            tables=files,
        output:
            f"{TABLES}/{table}.csv",
        log:
            f"{RUN_LOGS}/{table}/all.log",
        localrule: True
        shell:
            "python -m workflow_scripts.concatenate_tables"
            " --tables {input.tables:q}"
            " --output {output:q}"
            " 2> {log:q}"
