"""Estimates of the steps of one model, or of the text it reads.

Each function names the arrays that are in memory at the same time where its step needs most, and adds what the
interpreter holds with the step's libraries imported. Arrays that are cut to a fixed size (`batches.MEMORY` and its
like) stop growing there, and so does the estimate. What was measured stands in docs/resources.md, and a test holds the
estimates against the benchmarks of a run. What the configuration does not tell (the size of a pretrained model, the
length of a corpus) is taken as large as those that people use most; beyond that, a job that is killed for memory asks
for twice as much when it is tried again.
"""

from headatlas.data import text_files
from headatlas.models.forward_batches import MEMORY
from headatlas.models.memory_limits import AT_HAND, EVALUATION_TOKENS, KNOCKOUT, LOGITS
from headatlas.workflow.resources.model_sizes import FLOAT, TRANSFORMERS, need

# MiB that an interpreter holds, a quarter more than measured
FIGURES = 350  # pandas, pyarrow, matplotlib, seaborn
TABLES = 250  # pandas, pyarrow, a tokenizer
TORCH = 475  # torch
ANALYSIS = 500  # scikit-learn, igraph, scipy, torch
UMAP = 800  # and what numba has compiled
CUDA = 1100  # CUDA's libraries and context, in the memory of the machine, for any step on a GPU


def training(model, threads=1):
    """`train_model`.

    Of every member: weights, their gradients and AdamW's two means, and while a checkpoint is written the weights and
    means once more; each snapshot twice, since they are joined at the end. Every member keeps the memory its logits are
    computed in. Members that train at once hold the activations of a batch, forwards and backwards.
    """
    given = model.training
    members = model.members * FLOAT * model.weights * (4 + 3 + 2 * given.get("snapshots", 0))
    tokens = max(given["batch"] * model.context, min(EVALUATION_TOKENS, given["evaluation_windows"] * model.context))
    logits = model.members * FLOAT * min(LOGITS, tokens * model.vocabulary)
    batch = 2 * FLOAT * given["batch"] * model.context * model.layers * model.token
    windows = 3 * FLOAT * model.members * given["windows"] * (model.context + 1)
    read = model.members * given["windows"] * model.context * given["epochs"]
    seconds = 6 * model.weights * read / 5e10 + 20
    return need(TORCH, members + logits + min(threads, model.members) * batch + windows, seconds)


def corpus(settings):
    """Bytes of a corpus's text; a guess where only fetching it will tell."""
    if settings["source"] == "repeated-tokens":
        return 5 * settings["documents"] * settings["length"]
    if settings["source"] == "files":
        return sum(map(text_files.size, settings["files"]))
    return {"python-docs": 3e6, "nltk": 10e6}.get(settings["source"], 150e6)  # IMDb: 65 MB, WikiText-103: 540 MB


def collecting(text):
    """`fetch_corpus`: what was fetched, its passages as Python's strings, words and tags, and as a table."""
    return need(TABLES, 20 * text, 600)


def tokenizing(text, model=None):
    """`build_tokenizer`, `fetch_tokenizer`, `sample_windows`, `measure_baselines`.

    The text, and those of its characters that are encoded at once; the windows of all members, as integers of 4 and of
    8 bytes, and the pairs of tokens in those of one.
    """
    windows = model.members * model.training["windows"] * (model.context + 1) if model and model.trained else 0
    return need(TABLES, 4 * text + 40 * min(text / 10, 4 << 20) + 20 * windows, 60 + text / 1e5)


def fetching(model):
    """`fetch_model`: each checkpoint as it is loaded, all of them stacked, and once more while they are written."""
    return need(TORCH, model.members * 3 * FLOAT * model.weights + TRANSFORMERS, 600)


def pass_seconds(model, count, size=None):
    """Seconds of `count` forward passes of windows of `size` tokens."""
    inner = model.weights - (2 - model.tied) * model.vocabulary * model.d_model
    return 2 * inner * count * (size or model.context) / _rate(model)


def _rate(model):
    """Operations a second of a thread: products of a toy's size wait for memory."""
    return 1e10 if model.trained else 7e10


def _window(model):
    """Bytes of the smallest forward pass: one window, all layers of it kept by a pretrained model."""
    return FLOAT * model.context * model.token * (1 if model.trained else model.layers)


def _patterns(model):
    """Bytes of the packed patterns of one member that are taken before they are written, a prompt at least."""
    prompt = FLOAT * model.layers * model.heads * model.entries
    return max(prompt, min(MEMORY, prompt * model.prompts))


def extraction(model):
    """`extract_patterns`: a member, a forward pass, and a block of patterns, which is twice copied when written."""
    held = model.loaded + max(16 << 20, _window(model)) + 3 * _patterns(model)
    return need(TORCH, held, pass_seconds(model, model.members * model.prompts))


def vectors(model):
    """`extract_queries_keys`: a member, a forward pass, and a block of vectors, which is twice copied when written."""
    prompt = 2 * FLOAT * model.layers * model.heads * model.context * (model.d_head + 4)
    block = max(prompt, min(MEMORY, prompt * model.queries_keys))
    held = model.loaded + max(16 << 20, _window(model)) + 4 * block
    return need(TORCH, held, pass_seconds(model, model.members * model.queries_keys))


def scoring(model):
    """`score_heads`.

    The patterns of one layer, as read and as sorted; of 8 million of their entries the entropies, and what tokens equal
    one another; extracted where none are kept. Then a member, and of each layer both embeddings, the norm folded in.
    """
    layer = FLOAT * model.heads * model.prompts * model.entries
    entropies = 3 * min(layer, FLOAT << 23)
    tables = FLOAT * model.vocabulary * model.d_model * (2 * model.layers + 5)
    numbers = model.all_heads * model.prompts * model.entries
    seconds = numbers / 3e6 + pass_seconds(
        model, model.members * (200 if model.keeps_patterns else 200 + model.prompts)
    )
    extracted = 0 if model.keeps_patterns else model.loaded + _window(model) + _patterns(model) + entropies
    return need(TORCH, max(extracted, 3 * layer + entropies, model.loaded + tables + _window(model)), seconds)


def knocking_out(model, windows, others, **_):
    """`measure_knockouts`: passes with each head of a layer replaced, a block of logits, the table of the readout.

    Pretrained models' passes begin at the layer: half of each, on average.
    """
    inner = 4 * model.d_model + 3 * model.d_mlp + model.heads * (4 * model.d_head + 2 * model.context)
    prompt = FLOAT * model.context * inner * (model.heads + model.layers)
    clean = FLOAT * model.context * inner * model.layers * model.prompts
    limit = KNOCKOUT if model.trained else AT_HAND
    block = max(prompt, min(limit, max(prompt * windows, clean)))
    held = model.loaded + FLOAT * model.vocabulary * model.d_model + block + FLOAT * LOGITS
    passes = model.all_heads * (3 + others) * windows
    readout = 2 * model.vocabulary * model.d_model * passes * model.context / _rate(model)
    return need(TORCH, held, pass_seconds(model, passes) / (1 if model.trained else 2) + readout)


def screening(model, screen_windows, screened, **_):
    """`screen_heads`: what a block of prompts leaves behind for the pass backwards, logits twice, and the readout.

    Passes for the means, forwards, and backwards as long as three; then twice `screened` heads, as in `knocking_out`.
    """
    table, windows = FLOAT * model.vocabulary * model.d_model, model.members * screen_windows
    ablated = 2 * screened / (1 if model.trained else 2)
    readout = 2 * model.vocabulary * model.d_model * windows * (5 + 2 * screened) * model.context / _rate(model)
    held = model.loaded + table + 2 * MEMORY + 2 * FLOAT * LOGITS
    return need(TORCH, held, pass_seconds(model, windows * (5 + ablated)) + readout)


def _layer(model, prompts):
    """Bytes of the queries and keys of one layer: those kept, and a row group of all."""
    return 2 * FLOAT * model.heads * (prompts + 2 * model.queries_keys) * model.context * model.d_head


def pairs(model, most):
    """`choose_scales`, `measure_invariance`, `measure_parts_of_speech`.

    Queries and keys of one layer, and about 30 numbers in double precision for each pair of a query and a key of a
    head, of which there are at most as many as the configuration says.
    """
    count = min(most, model.queries_keys * model.context**2)
    return need(TABLES, _layer(model, model.queries_keys) + 30 * 8 * count, model.all_heads * count * 2e-5)


def mapping(model, sentences, maps, methods):
    """`map_chosen_heads`, `compare_constructions`: queries and keys of one layer; of the points in a map (a query and a
    key for every token) all distances up to 4,096, and a few hundred numbers each where there are more."""
    sentences = min(sentences, model.queries_keys)
    points = 2 * sentences * model.context
    held = _layer(model, sentences) + 3 * 8 * min(points, 4096) ** 2 + 8 * points * (300 + model.d_head)
    return need(UMAP if "umap" in methods else ANALYSIS, held, 30 + maps * points * 1e-3)


def induction(model, sequences, passes, size=None):
    """`measure_repeats`, `measure_in_context`, `ablate_induction`, `trace_training`, and the study of circuits.

    A member with the table of its readout, forward passes of 256 MB at most, and a block of logits.
    """
    size = min(size or model.context, model.context)
    forward = 3 * max(_window(model), min(MEMORY, sequences * FLOAT * size * model.token * model.layers))
    held = model.loaded + FLOAT * model.vocabulary * model.d_model + forward + FLOAT * LOGITS
    readout = 2 * model.vocabulary * model.d_model * sequences * passes * size / 1e10
    return need(TORCH, held, model.members * (pass_seconds(model, sequences * passes, size) + readout) + 20)


def global_views(model, sentences, methods, **others):
    """`draw_global_view`: a point for every query and key of every map of a head, as a table some times over."""
    points = 2 * min(sentences, model.queries_keys) * model.context
    return need(FIGURES, 3 * 100 * model.all_heads * len(methods) * points)
