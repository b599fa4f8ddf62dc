"""Which attention heads of which transformers do the same thing: the library under the workflow.

A package imports only from packages above it in this list, and no study imports another.

base        errors, progress, tables on disk, statistics
jobs        how any script runs: logged, atomic, restored from a store of finished results
data        corpora, tokenizers, windows of tokens, the losses that counting n-grams reaches
models      toy transformers trained here, pretrained ones, and passes in which heads are knocked out
attention   what heads attend to, on disk: patterns, queries and keys
scores      what a head does, in numbers, with error and chance
plotting    the look of every figure; training curves
studies     phrenology, attentionviz, circuits, induction: one package each, with its figures
workflow    what the rules import: configuration, resources, digests of code, captions, the summary
"""
