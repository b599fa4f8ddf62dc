"""What a person may ask Snakemake for, and one line for what it cannot make."""

import itertools
import logging
import re
from pathlib import PurePath

from headatlas.workflow.schema import hint

_WILDCARD = re.compile(r"\{(\w+)[^{}]*\}")
_NOT_REPORTED = re.compile(r"(?:WorkflowError:\n)?File (.+) marked for report but does not exist\.")
_MISSING = re.compile(r"MissingRuleException.*\nNo rule to produce (.+?) \(if you use input", re.DOTALL)


class Explained(logging.Filter):
    """Say of a target that no rule makes which one may have been meant, and what to do for a report that lacks a file.

    Parameters
    ----------
    rules : sequence of snakemake.rules.Rule
        Those of the workflow, also such as come later.
    config : mapping
        With the names that wildcards may be.
    """

    def __init__(self, rules, config):
        super().__init__()
        self._rules, self._config = rules, config

    def filter(self, record):
        if missing := _MISSING.match(str(record.msg)):
            record.msg, record.args = explain(missing[1], self._rules, self._config), ()
        elif missing := _NOT_REPORTED.match(str(record.msg)):
            remedy = "--report-after-run makes it first, and a target that is whole can be reported alone"
            record.msg, record.args = f"{missing[1]}: not made yet, so there is no report of it; {remedy}", ()
        return True


def explain(target, rules, config):
    """One line: that there is no such target, the one that may have been meant, and what there is."""
    gathering = sorted({rule.name for rule in rules if not rule.script})
    if "/" in target:
        meant, results = target, config["results"]
        if not target.startswith(f"{results}/"):  # the folder of another configuration, or of none
            meant = f"{results}/{target.removeprefix('results/')}"
        close = hint(meant, _alike(meant, rules, config))
    else:
        close = hint(target, gathering) or hint(target, [rule.name for rule in rules])
    return f"{target}: no such target; {close}allowed: {', '.join(gathering)}, or a result's path"


def shown(rules, results, models_of):
    """Files that rules of studies make, for all that their wildcards may be.

    Parameters
    ----------
    rules : sequence of snakemake.rules.Rule
    results : str
        The folder of results.
    models_of : mapping from str to list of str
        The models of each study, or of another folder of figures, whose files are shown.

    Returns
    -------
    dict from str to (dict, object or None)
        By path the file's wildcards, and with what it is flagged for the report, if it is.
    """
    found = {}
    known = set().union(*models_of.values())
    for output in [output for rule in rules for output in rule.output]:
        path = str(output)
        folder = path.removeprefix(f"{results}/").removeprefix("figures/").split("/")[0]
        if folder not in models_of:
            continue
        choices = {name: values.split("|") for name, values in re.findall(r"\{(\w+),([^}]*)\}", path)}
        if not set(choices.get("model", [])) <= {*known, "(?!)"}:  # any name: those that the study is of
            choices["model"] = models_of[folder]
        for values in itertools.product(*choices.values()):
            wildcards = dict(zip(choices, values, strict=True))
            file = re.sub(r"\{(\w+),[^}]*\}", r"{\1}", path).format(**wildcards)
            if "(?!)" not in values:
                found[file] = wildcards, output.flags.get("report")
    return found


def _alike(target, rules, config):
    """Results of the same kind in as deep a folder as the target's, by all names that the configuration has."""
    names = {"corpus": config["corpora"], "tokenizer": config["tokenizers"], "model": config["models"]}
    wanted, found = PurePath(target), []
    for pattern in sorted({str(output) for rule in rules for output in rule.output}):
        parts = PurePath(_WILDCARD.sub("x", pattern)).parts
        if len(parts) != len(wanted.parts) or not set(_WILDCARD.findall(pattern)) <= set(names):
            continue
        wildcards = dict.fromkeys(_WILDCARD.findall(pattern))
        for chosen in itertools.product(*(names[wildcard] for wildcard in wildcards)):
            values = dict(zip(wildcards, chosen, strict=True))
            found.append(_WILDCARD.sub(lambda match, values=values: values[match[1]], pattern))
    return found
