"""A claim of a paper beside the same measured in a run, and all of them as a table and a page."""

from dataclasses import dataclass

PAPERS = {
    "phrenology": "Edkins & Wiechecki (2023), *Attention Phrenology*",
    "attentionviz": "Chen (2023), *Exploring Transformer Interpretability*, part 1",
    "circuits": "Jayakumar, Singhal & Ravikumar, *Interpretability of Transformer Circuits*",
    "induction": "Chen (2023), *Exploring Transformer Interpretability*, part 2",
}
VERDICTS = ("agrees", "differs", "cannot be compared")


@dataclass(frozen=True)
class Claim:
    """What a figure or table of a paper reports, and what a run gives in its place.

    Attributes
    ----------
    item : str
        "Figure 4", "Table 1".
    reported : str
        What the paper says, with its numbers.
    published, corrected : str
        What the run gives as the authors computed it, and as it should be; empty where that is not asked.
    agrees : bool or None
        Whether what the run gives as published bears the claim out; None where it cannot be compared.
    asked : str
        What decides about `agrees`, or why it cannot be compared.
    """

    item: str
    reported: str
    published: str
    corrected: str
    agrees: bool | None
    asked: str

    @property
    def verdict(self):
        return VERDICTS[2] if self.agrees is None else VERDICTS[not self.agrees]


def differences(paper, run):
    """In what a run is set up otherwise than a paper was.

    Parameters
    ----------
    paper, run : mapping from what is set to its value

    Returns
    -------
    str
        As "corpus python-docs (paper: brown), d_model 64 (256)"; empty where nothing differs.
    """
    differ = [key for key in paper if key in run and run[key] != paper[key]]
    return ", ".join(f"{key} {run[key]} ({'paper: ' if key == differ[0] else ''}{paper[key]})" for key in differ)


def columns(claims):
    """The claims of studies as columns of a table.

    Parameters
    ----------
    claims : mapping from a study to (list of Claim, str)
        The string says in what the run differs from the paper.

    Returns
    -------
    dict from str to list of str
    """
    rows = [(study, claim, differ) for study, (of_study, differ) in claims.items() for claim in of_study]
    return {
        "study": [study for study, _, _ in rows],
        **{
            name: [getattr(claim, name) for _, claim, _ in rows]
            for name in ("item", "reported", "published", "corrected", "verdict", "asked")
        },
        "differences": [differ for _, _, differ in rows],
    }


def text(claims):
    """The same as Markdown.

    Parameters
    ----------
    claims : mapping from a study to (list of Claim, str)

    Returns
    -------
    str
    """
    lines = [
        "# The papers beside this run",
        "",
        "What each figure and table of the four papers reports, what the same computation gives here (published), "
        "and what it "
        "gives done as it should be (corrected). The verdict holds the published computation against the paper.",
        "",
    ]
    for study, (of_study, differ) in claims.items():
        count = {verdict: sum(claim.verdict == verdict for claim in of_study) for verdict in VERDICTS}
        lines += [
            f"## {study}",
            "",
            f"{PAPERS[study]}. Of {len(of_study)} claims "
            + ", ".join(f"{number} {_plural(verdict, number)}" for verdict, number in count.items() if number)
            + ".",
            "",
            f"This run has other sizes than the paper: {differ}." if differ else "This run has the paper's sizes.",
            "",
            "| | the paper reports | published, here | corrected, here | verdict |",
            "|---|---|---|---|---|",
        ]
        for claim in of_study:
            cells = (
                claim.item,
                claim.reported,
                claim.published,
                claim.corrected,
                f"**{claim.verdict}**: {claim.asked}",
            )
            lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
        lines.append("")
    return "\n".join(lines)


def _plural(verdict, number):
    return verdict.removesuffix("s") if verdict != VERDICTS[2] and number != 1 else verdict


def _cell(content):
    return content.replace("|", "\\|").replace("\n", " ")
