"""The pages: each link between them leads somewhere, and the tables of the operators' pages can be read."""
import re

import pytest
from support.carillon import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
OPERATIONS = sorted((ROOT / "docs/operations").glob("*.md"))
SHORT = [*OPERATIONS, ROOT / "docs/endpoints.md"]
CELL_WORDS = 28


def name(page):
    return str(page.relative_to(ROOT))


def prose(page):
    """Without examples: blocks that are indented or fenced."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    return "\n".join(line for line in text.splitlines() if not line.startswith("    "))


def anchors(page):
    """As GitHub makes them from headings."""
    titles = re.findall(r"^#+ (.*)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_each_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{target}: there is no such file"
        if anchor:
            assert anchor in anchors(linked), f"{target}: there is no such heading"


@pytest.mark.parametrize("page", SHORT, ids=name)
def test_the_cells_of_tables_are_short(page):
    for line in prose(page).splitlines():
        if line.startswith("| "):
            for cell in line.strip("| ").split(" | "):
                words = len(re.sub(r"`[^`]*`", "x", cell).split())
                assert words <= CELL_WORDS, f"{words} words: {cell}"


def test_the_index_names_each_page_of_operations():
    index = (ROOT / "docs/operations.md").read_text()
    assert {page.name for page in OPERATIONS} == set(re.findall(r"\]\(operations/(\w+\.md)\)", index))
