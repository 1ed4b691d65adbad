"""The pages: readable without a network, complete, and safe with any text."""

import json
import re

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from helpers.claims.papers import ROWS
from helpers.errors import BadInput
from helpers.notebook import sources as notebooks
from helpers.notebook.artefacts import write_json
from helpers.runner import report

CLAIM = {
    "id": "F4", "statement": "better <b>than</b> chance & more", "paper": "Fang et al. 2015", "cited": None,
    "ours": "0.21", "margin": "±0.01", "because": "a tenth", "over": "users",
    "verdict": "supported (planted)",
    "corrected": "undecided", "note": "", "data": "emojigram", "simulated": True, "notebook": "03_factors",
}  # fmt: skip
FROM_AFAR = re.compile(
    r"""(?:src|href)\s*=\s*["'](?:https?:)?//|@import|url\(\s*["']?https?:|<script|<link"""
)


@pytest.mark.parametrize(
    ("latex", "part"),
    [
        (r"x^2", "<msup>"),
        (r"\begin{aligned}a &= b\\ c &= d\end{aligned}", "<mtable"),
        (r"\operatorname*{arg\,max}_j s_j", "arg&#x000A0;max"),
        (r"\lVert x \rVert", "&#x02016;"),
        (r"\log p_i", "<mspace"),
        (r"\begin{cases} 1 & x \\ 0 & y \end{cases}", "<mtr>"),
    ],
)
def test_formulas(latex, part):
    made = report.mathml(latex, block=True)
    assert part in made
    assert 'display="block"' in made


@pytest.mark.parametrize("latex", [r"\log(p)", r"\log_2 p", r"\max_{j} s", r"\log\left(p\right)"])
def test_functions_stand_close_to_brackets_and_indices(latex):
    assert "mspace" not in report.mathml(latex)


@pytest.mark.parametrize("latex", [r"\frac{1}{", r"\unknown x", r"a & b"])
def test_a_formula_that_cannot_be_drawn(latex):
    with pytest.raises(BadInput, match="formula"):
        report.markdown(f"Text ${latex}$.")
    assert "<code>" in report.markdown(f"Text ${latex}$.", report.Lenient)


def notebook():
    text = "## A picture\n\nInline $x_1$ and\n\n$$\\sum_i x_i$$\n\n| a | b |\n|---|---|\n| $y$ | 2 |\n\n"
    text += "[next](04_latent_neighbours.ipynb#top) [words](06b_words.ipynb) [read](../README.md)"
    text += " [web](https://example.org) [here](#a)"
    outputs = [
        new_output("display_data", {"image/png": "iVBORw0KGgo=", "text/plain": "figure"}),
        new_output("display_data", {"text/latex": "$\\alpha$", "text/plain": "alpha"}),
        new_output("display_data", {report.NEEDS_SCRIPT[1]: {"model_id": "1"}, "text/plain": "a widget"}),
        new_output("stream", text="a < b & c\n"),
    ]
    code = new_code_cell("print('<script>alert(1)</script>')", execution_count=1, outputs=outputs)
    return new_notebook(cells=[new_markdown_cell(text), code])


def test_a_page_needs_no_network(tmp_path):
    executed, target = tmp_path / "03" / "03_factors.ipynb", tmp_path / "03" / "03_factors.html"
    executed.parent.mkdir()
    notebooks.write(notebook(), executed)
    report.write_html(executed, target, "demo")
    page = target.read_text(encoding="utf-8")
    assert not FROM_AFAR.search(page.replace('href="https://example.org"', ""))
    assert page.count("<math") == 4
    assert "$" not in re.sub(r"<style.*?</style>", "", page, flags=re.DOTALL)
    assert 'alt="Figure of the section “A picture”"' in page
    assert "a widget" in page
    assert "a &lt; b &amp; c" in page
    assert 'href="../04/04_latent_neighbours.html#top"' in page
    assert 'href="../06b/06b_words.html"' in page
    assert 'href="https://example.org"' in page, (
        "a link that the reader may follow is none that the page loads"
    )
    assert 'href="#a"' in page
    assert 'href="../index.html"' in page
    assert "README.md" in page
    assert 'name="viewport"' in page


def profile(folder, claims, notebooks):
    write_json(folder / "scoreboard.json", {"claims": claims})
    summary = {
        "profile": "demo", "seconds": 1.0, "started_at": "2026-01-02T03:04:05+00:00", "platform": "Linux",
        "versions": {"numpy": "2.4.6"}, "commit": "0123456789abcdef0123-dirty", "notebooks": notebooks,
    }  # fmt: skip
    write_json(folder / "run.json", summary)
    return report.write_index(folder).read_text(encoding="utf-8")


def test_the_index_shows_everything(tmp_path):
    row = {"number": "03", "name": "03_factors", "status": "done", "seconds": 12.34, "peak_mb": 512.0}
    earlier = {"notebook": "01_filter", "seconds": 3.0, "peak_mb": 100.0, "seed": 7}
    write_json(tmp_path / "01" / "run.json", earlier)
    (tmp_path / "01" / "01_filter.html").touch()
    claims = [
        CLAIM | {"id": "J2"},
        CLAIM,
        CLAIM
        | {
            "id": "F10",
            "data": "movielens",
            "simulated": False,
            "verdict": "reproduced",
            "cited": "0.19",
            "corrected": "reproduced",
        },
    ]
    page = profile(tmp_path, claims, [row])
    assert not FROM_AFAR.search(page)
    assert re.findall(r"<td><b>(\w+)</b></td>", page) == ["F4", "F10", "J2"], "in the order of the papers"
    assert "better &lt;b&gt;than&lt;/b&gt; chance &amp; more" in page
    counts = re.findall(r"<b>(\d+)</b><i class=.mark ([a-z-]+).></i>", page)
    assert counts == [
        ("1", "reproduced"), ("0", "supported"), ("2", "supported-planted"), ("0", "contradicted"),
        ("0", "undecided"), ("0", "not-testable"), ("0", "procedure"),
    ]  # fmt: skip
    assert page.count("0 after Holm") == 1
    assert page.count("2 after Holm") == 1
    assert page.count("undecided after Holm") == 2
    assert '<span title="a tenth">±0.01</span>' in page
    assert page.count('<span class="badge simulated">simulated</span></td>') == 2
    assert "3 of the 48 rows have a claim" in page
    headings = re.findall(r'<tr class="row" id="(\w+)">', page)
    assert headings == list(ROWS), "a row without a claim is shown too"
    assert page.count("no claim in this profile</span>") == 45
    assert page.count('<i class="mark reproduced"></i>') == 2, "in the counts, and one claim"
    assert page.count('<i class="mark empty"></i>') == 45
    assert "Simulated data." in page
    assert 'href="01/01_filter.html"' in page
    assert "earlier" in page
    assert "12.3" in page
    assert "512 MB" in page
    assert "0123456789ab-dirty" in page
    assert "numpy 2.4.6" in page
    assert "The last run failed" not in page


def test_the_index_leads_to_the_explorer(tmp_path):
    row = {"number": "07", "name": "07_people", "status": "done", "seconds": 1.0, "peak_mb": 1.0}
    write_json(tmp_path / "07" / "explorer.json", {"users": ["</script><b>"], "tags": ["#sea & more"]})
    assert 'href="07/explorer.html"' in profile(tmp_path, [CLAIM], [row])
    page = (tmp_path / "07" / "explorer.html").read_text(encoding="utf-8")
    own = page.replace("<script>", "").replace('<script type="application/json" id="answers">', "")
    assert not FROM_AFAR.search(own)  # a script of its own, none from afar
    data = page.partition('id="answers">')[2].partition("</script>")[0]
    assert json.loads(data) == {"users": ["</script><b>"], "tags": ["#sea & more"]}
    assert re.findall(r'<label for="(\w+)">', page) == ["user", "item", "tag"]


def test_a_claim_leads_to_the_cell_that_shows_it(tmp_path):
    code = ["run.measured('F4', gap)", "run.verdicts()", "run.verdicts()"]
    made = new_notebook(cells=[new_code_cell(source, id=f"cell-{k}") for k, source in enumerate(code)])
    (tmp_path / "03").mkdir()
    notebooks.write(made, tmp_path / "03" / "03_factors.ipynb")
    row = {"number": "03", "name": "03_factors", "status": "done", "seconds": 1.0, "peak_mb": 5.0}
    page = profile(tmp_path, [CLAIM, CLAIM | {"id": "B1", "notebook": "04_gone"}], [row])
    assert 'href="03/03_factors.html#cell-id=cell-1"' in page
    assert 'href="04/04_gone.html"' in page, "without the executed copy the page itself"


def test_a_failure_leads_to_the_kept_notebook(tmp_path):
    row = {"number": "03", "name": "03_factors", "status": "failed", "seconds": 1.0, "peak_mb": None}
    (tmp_path / "03").mkdir()
    (tmp_path / "03" / "03_factors.failed.ipynb").touch()
    page = profile(tmp_path, [], [row | {"error": "03_factors, cell [2]: ValueError: <boom>"}])
    assert "03_factors, cell [2]: ValueError: &lt;boom&gt;" in page
    assert 'href="03/03_factors.failed.ipynb"' in page
    assert "No notebook has recorded a claim" in page
    assert "Simulated data." not in page
