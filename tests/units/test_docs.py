"""Markdown pages: short lines, links and paths that lead somewhere, numbers that agree."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from support.workflow import ROOT

WIDTH = 100
README_LINES = 120
HISTORY = {"CHANGELOG.md"}  # it speaks of files that are gone
PAGES = sorted(
    {
        file.relative_to(ROOT).as_posix()
        for pattern in ("*.md", "docs/*.md", "benchmarks/*.md", "results/*.md")
        for file in ROOT.glob(pattern)
    }
    | {file.relative_to(ROOT).as_posix() for file in ROOT.glob("workflow_scripts/**/*.md")}
)
# Folders whose files are in git; what a backtick names below one of them has to exist.
FOLDERS = ("benchmarks", "configs", "docs", "profiles", "rules", "tests", "workflow_scripts")
MADE = ("profiles/site", "benchmarks/cache/")  # by users and by runs
LINK = re.compile(r"\]\(([^()\s]+)\)")
CODE = re.compile(r"`([^`]+)`")


def prose(text: str) -> Iterator[tuple[int, str]]:
    """Lines outside code blocks, with their numbers."""
    in_code = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            in_code = not in_code
        elif not in_code:
            yield number, line


def anchors(text: str) -> set[str]:
    """The fragments that GitHub gives to a page's headings."""
    headings = [line.lstrip("# ") for _, line in prose(text) if line.startswith("#")]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_there_are_pages() -> None:
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/reruns.md"} <= set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_lines_are_short(page: str) -> None:
    """Tables, links, and words that do not fit a line excepted."""
    text = (ROOT / page).read_text()
    long = [
        f"{page}:{number}"
        for number, line in prose(text)
        if len(line) > WIDTH and not line.startswith("|") and not LINK.search(line)
    ]
    assert long == []


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= README_LINES


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = "\n".join(line for _, line in prose((ROOT / page).read_text()))
    for link in LINK.findall(text):
        path, _, fragment = link.partition("#")
        if re.match(r"[a-z]+:", path):
            continue
        file = (ROOT / page).parent / unquote(path) if path else ROOT / page
        assert file.exists(), f"{page}: {link}"
        if fragment and file.suffix == ".md":
            assert fragment in anchors(file.read_text()), f"{page}: {link}"


def paragraphs(text: str) -> list[str]:
    """Prose with its line ends, because what stands in backticks may go on in the next line."""
    return "\n".join(line for _, line in prose(text)).split("\n\n")


def named_paths(text: str) -> Iterator[str]:
    """What stands in backticks and looks like a file or folder of the repository."""
    for paragraph in paragraphs(text):
        for code in CODE.findall(paragraph):
            for word in code.split():
                path = word.split("::")[0].strip('".,:;')
                top, slash, _ = path.partition("/")
                if slash and top in FOLDERS and not path.startswith(MADE):
                    yield path


@pytest.mark.parametrize("page", sorted(set(PAGES) - HISTORY))
def test_paths_in_backticks_exist(page: str) -> None:
    """A part in angle brackets, such as ``<study>``, stands for any name."""
    for path in named_paths((ROOT / page).read_text()):
        pattern = re.sub(r"<\w+>", "*", path)
        assert any(ROOT.glob(pattern.rstrip("/"))), f"{page}: {path}"


@pytest.mark.parametrize("page", PAGES)
def test_modules_of_steps_exist(page: str) -> None:
    """``python -m workflow_scripts...`` names a module, in code blocks too."""
    for name in re.findall(r"-m (workflow_scripts[\w.]*\w)", (ROOT / page).read_text()):
        assert (ROOT / name.replace(".", "/")).with_suffix(".py").is_file(), f"{page}: {name}"


def test_tests_that_pages_name_exist() -> None:
    """docs/reliability.md names the test of every fault."""
    known: dict[str, set[str]] = {}
    for file in (ROOT / "tests").rglob("test_*.py"):
        names = {node.name for node in ast.walk(ast.parse(file.read_text())) if _is_test(node)}
        known.setdefault(file.stem, set()).update(names)
    every = set().union(*known.values())
    text = (ROOT / "docs/reliability.md").read_text()
    named = [code for code in CODE.findall(text) if code.startswith("test_")]
    assert len(named) > 20
    for code in named:
        file, _, name = code.partition("::")
        if not file.endswith(".py"):  # of the file that was named before
            assert file in every, code
            continue
        assert Path(file).stem in known, code
        assert not name or name in known[Path(file).stem], code


def _is_test(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name.startswith("test_")


def test_numbers_of_the_readme_are_those_of_the_studies() -> None:
    """What the main page says of a study is said, with the same digits, on the study's own."""
    rows = re.findall(
        r"^\| \[\w+\]\((.*?/README\.md)\) \| (.*) \|$", (ROOT / "README.md").read_text(), re.M
    )
    studies = {path.split("/")[2] for path, _ in rows}
    assert studies == {
        file.parent.name for file in ROOT.glob("workflow_scripts/studies/*/config.yaml")
    }
    for path, said in rows:
        own = (ROOT / path).read_text()
        own = own.replace("**", "").replace("\n", " ")
        for number in re.findall(r"[−+]?\d\.\d+(?: \[.*?\])?", said):
            assert number in own, f"{path} does not say {number}"
