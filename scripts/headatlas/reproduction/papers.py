"""The claims of the four papers, by study."""

from headatlas.reproduction import attentionviz, circuits, induction, phrenology
from headatlas.reproduction.claims import differences

STUDIES = {"phrenology": phrenology, "attentionviz": attentionviz, "circuits": circuits, "induction": induction}


def claims(study, tables, set_up):
    """A paper's claims beside a run.

    Parameters
    ----------
    study : str
    tables : mapping from a name of the study's `TABLES` to DataFrame
    set_up : mapping
        How the run is set up, in the terms of the study's `SETUP`.

    Returns
    -------
    list of Claim, and in what the run differs from the paper
    """
    module = STUDIES[study]
    known = {name: tables.get(name) for name in module.TABLES}
    return module.claims(known), differences(module.SETUP, set_up)
