"""Which attention heads of which transformers do the same thing: the library under the workflow.

A package imports only from packages above it in this list, and no study imports another.

base        errors, progress, tables on disk, statistics, statements of findings
jobs        how any script runs: logged, atomic, restored by digests of code and inputs from a store of finished results
data        corpora, tokenizers, windows of tokens, the losses that counting n-grams reaches
models      toy transformers trained here, pretrained ones, and passes in which heads are knocked out
attention   what heads attend to, on disk: patterns, queries and keys
scores      what a head does, in numbers, with error and chance
plotting    the look of every figure; training curves
studies     phrenology, attentionviz, circuits, induction: one package each, with its figures
reproduction  what the four papers report beside what a run gives
atlas       the run as a page that a person walks through, and as tables for notebooks and other tools
workflow    what the rules import: configuration, resources, targets, captions, the summary
"""


def open(results="results"):
    """A folder of results, for notebooks: heads with their scores, kinds and partners, and patterns as labelled arrays.

    Parameters
    ----------
    results : str or path-like
        The `results:` of a configuration that has run.

    Returns
    -------
    headatlas.atlas.results.Results
    """
    from headatlas.atlas.results import Results  # here, for whatever imports a module of the library imports this one

    return Results(results)
