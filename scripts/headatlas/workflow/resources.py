"""Memory and minutes that steps need, estimated from the configuration before anything has run.

Each function names the arrays that are in memory at the same time where its step needs most, and adds what the
interpreter holds with the step's libraries imported. Arrays that are cut to a fixed size (`batches.MEMORY` and its
like) stop growing there, and so does the estimate. What was measured stands in docs/resources.md, and a test holds the
estimates against the benchmarks of a run. What the configuration does not tell (the size of a pretrained model, the
length of a corpus) is taken as large as those that people use most; beyond that, a job that is killed for memory asks
for twice as much when it is tried again.
"""

from headatlas.attention import STREAMED
from headatlas.data import text_files
from headatlas.models.forward_batches import MEMORY
from headatlas.models.memory_limits import AT_HAND, EFFECTS, EVALUATION_TOKENS, KNOCKOUT, LOGITS
from headatlas.studies.phrenology import parts_of
from headatlas.workflow.model_sizes import FLOAT, TRANSFORMERS, Need, model, need

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


def _passes(model, count, size=None):
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
    return need(TORCH, held, _passes(model, model.members * model.prompts))


def vectors(model):
    """`extract_queries_keys`: a member, a forward pass, and a block of vectors, which is twice copied when written."""
    prompt = 2 * FLOAT * model.layers * model.heads * model.context * (model.d_head + 4)
    block = max(prompt, min(MEMORY, prompt * model.queries_keys))
    held = model.loaded + max(16 << 20, _window(model)) + 4 * block
    return need(TORCH, held, _passes(model, model.members * model.queries_keys))


def scoring(model):
    """`score_heads`.

    The patterns of one layer, as read and as sorted; of 8 million of their entries the entropies, and what tokens equal
    one another; extracted where none are kept. Then a member, and of each layer both embeddings, the norm folded in.
    """
    layer = FLOAT * model.heads * model.prompts * model.entries
    entropies = 3 * min(layer, FLOAT << 23)
    tables = FLOAT * model.vocabulary * model.d_model * (2 * model.layers + 5)
    numbers = model.all_heads * model.prompts * model.entries
    seconds = numbers / 3e6 + _passes(model, model.members * (200 if model.keeps_patterns else 200 + model.prompts))
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
    return need(TORCH, held, _passes(model, passes) / (1 if model.trained else 2) + readout)


def screening(model, screen_windows, screened, **_):
    """`screen_heads`: what a block of prompts leaves behind for the pass backwards, logits twice, and the readout.

    Passes for the means, forwards, and backwards as long as three; then twice `screened` heads, as in `knocking_out`.
    """
    table, windows = FLOAT * model.vocabulary * model.d_model, model.members * screen_windows
    ablated = 2 * screened / (1 if model.trained else 2)
    readout = 2 * model.vocabulary * model.d_model * windows * (5 + 2 * screened) * model.context / _rate(model)
    held = model.loaded + table + 2 * MEMORY + 2 * FLOAT * LOGITS
    return need(TORCH, held, _passes(model, windows * (5 + ablated)) + readout)


def comparing(models, prompts):
    """`compare_knockouts`.

    Hidden states of every head's knockout over all prompts, and a block of effect vectors (heads, prompts,
    vocabulary), twice while those of all members are joined, besides the logits of one head at all positions.
    """
    heads, vocabulary = sum(one.all_heads for one in models), max(one.vocabulary for one in models)
    size, d_model = models[0].context, max(one.d_model for one in models)
    prompts = min(prompts, models[0].prompts)
    wide = heads + max(size, *(one.layers * one.heads for one in models))
    block = max(1, min(prompts, EFFECTS // (wide * vocabulary)))
    hidden = FLOAT * heads * prompts * (size + 3) * d_model
    effects = FLOAT * block * vocabulary * (2 * wide + 3 * size)
    largest = max(models, key=lambda one: one.loaded)
    passes = FLOAT * size * largest.token * largest.layers * largest.prompts
    held = hidden + largest.loaded + max(effects, min(KNOCKOUT, passes))
    return need(TORCH, held, heads * prompts * (size + 3) * 2 * vocabulary * d_model / 4e9)


def _read(models):
    """Bytes of the patterns of all heads that a study compares."""
    return FLOAT * sum(one.all_heads * one.prompts * one.entries for one in models)


def _heads(models):
    return sum(one.all_heads for one in models)


def _compared(models):
    """Bytes of a block of prompts, a row group as it is read, and blocks of patterns in double precision: two of 256 MB
    unless one holds all; then a few matrices of heads by heads."""
    read = _read(models)
    block = max(read // models[0].prompts, min(read, STREAMED))
    blocks = 2 * block if 2 * block <= MEMORY else 2 * MEMORY
    return block + max(block, blocks) + 3 * min(read, 16 << 20) + 6 * 8 * _heads(models) ** 2


def distances(models):
    """`measure_distances`, `decompose_patterns`, `draw_pair_weights`: a block of prompts, distances on all parts."""
    heads, read = _heads(models), _read(models)
    parts = parts_of(heads, models[0].prompts)
    return need(ANALYSIS, _compared(models) + 20 * parts * heads**2, heads * read / FLOAT / 6e7)


def projecting(models):
    """`project_heads`: as `distances`, with UMAP, and of a block of prompts three artificial heads."""
    one = models[0]
    prompts = min(one.prompts, max(1, STREAMED * one.prompts // _read(models)))
    artificial = 6 * 3 * FLOAT * prompts * one.context**2
    return need(UMAP, _compared(models) + artificial, 40 + _heads(models) * _read(models) / FLOAT / 5e8)


def first_token(models):
    """`project_first_token`: the patterns of the prompts whose queries and keys are kept, twice; those, as read and as
    arrays."""
    share = min(1, models[0].queries_keys / models[0].prompts)
    kept = 2 * 2 * FLOAT * sum(one.all_heads * one.queries_keys * one.context * one.d_head for one in models)
    return need(ANALYSIS, 2 * share * _read(models) + 3 * (16 << 20) + kept, 20)


def autoencoders(models, settings):
    """`fit_autoencoders`, on as many prompts as the configuration's `numbers` allow.

    Both protocols at once. Published: whole patterns, as unpacked and as fitted. Corrected: packed ones, split into
    those fitted and those held out, and for the errors of the principal components once centred and once squared in
    double precision. Each holds the rows fitted, what 2,048 rows are in every layer of every network (of long prompts
    fewer), and weights with their gradients and Adam's two means.
    """
    one, heads = models[0], _heads(models)
    prompts = min(one.prompts, max(8, (settings["numbers"] or 1 << 62) // (heads * one.context**2)))
    rows = heads * prompts
    packed, whole = FLOAT * rows * one.entries, FLOAT * rows * one.context**2
    fitted = min(rows, settings["rows"] or rows)
    networks = len(settings["widths"]) * len(settings["seeds"])
    passed = 2 * FLOAT * min(2048 * networks * (2 * one.context**2 + 512), 4 << 24)
    weights = 2 * 4 * FLOAT * networks * 2 * 128 * one.context**2
    held = 6 * packed + 2 * whole + 2 * FLOAT * fitted * one.context**2 + passed + weights
    learnt = 2 * 6 * fitted * settings["epochs"] * networks * 2 * one.context**2 * 128
    return need(ANALYSIS, held, learnt / 2e10 + 30)


def _embedded(models, settings):
    """Bytes of the embeddings of all heads, as wide as the widest autoencoder."""
    return FLOAT * sum(one.all_heads * one.prompts for one in models) * max(settings["widths"])


def searching(models, settings):
    """`search_resolutions`: embeddings, distances between all heads, and partitions of the heads from every draw."""
    heads, draws = _heads(models), settings["search"]["draws"]
    held = 2 * _embedded(models, settings["autoencoders"]) + 6 * 8 * heads**2 + 4 * 8 * draws * heads
    return need(ANALYSIS, held, 6 * draws * heads * 5e-5)


def finding_kinds(models, settings):
    """`find_kinds`: a dozen matrices of heads by heads, and for every continuum a search of sixteen resolutions."""
    heads, continua = _heads(models), settings["kinds"]["continua"]
    return need(ANALYSIS, 12 * 8 * heads**2, continua * (20 * heads * 1e-4 + 4e-10 * heads**3))


def resampling_groups(models, settings):
    """`match_partners` and `measure_stability`: distances on all parts of the prompts, searched again and again."""
    heads, members = _heads(models), sum(one.members for one in models)
    held = (3 * parts_of(heads, models[0].prompts) + 20) * 8 * heads**2
    return need(ANALYSIS, held, (2 * settings["kinds"]["halvings"] + members) * (150 * heads * 1e-4 + 0.1))


def placing(models, settings):
    """`place_heads`: embeddings in single and double precision, distances between all heads, and UMAP."""
    held = 4 * _embedded(models, settings["autoencoders"]) + 6 * 8 * _heads(models) ** 2
    return need(UMAP, held, 60)


def transplanting(models, windows):
    """`transplant_heads`.

    The outputs of all heads on all windows, one member and its readout, and a block of windows with a layer's donors in
    the place of one head: streams, the MLP's inside, and a block of logits. Every head receives the heads of its layer
    and of one other from all other members, as mapped and at equal norm.
    """
    largest, members = max(models, key=lambda one: one.loaded), sum(one.members for one in models)
    windows = min(windows, models[0].prompts)
    outputs = 2 * FLOAT * windows * models[0].context * max(one.d_head for one in models) * _heads(models)
    readouts = 2 * 8 * largest.vocabulary * largest.d_model * members
    inner = 4 * largest.d_model + 3 * largest.d_mlp + largest.heads * (4 * largest.d_head + 2 * largest.context)
    prompt = FLOAT * largest.context * inner * (largest.heads + largest.layers)
    block = max(prompt, min(KNOCKOUT, prompt * windows))
    passes = 2 * 2 * _heads(models) * members * largest.heads * windows
    readout = 2 * largest.vocabulary * largest.d_model * passes * largest.context / 4e10
    held = outputs + readouts + largest.loaded + block + FLOAT * LOGITS
    return need(TORCH, held, _passes(largest, passes) / 4 + readout)


def comparing_circuits(models):
    """`compare_circuits`: the weights of all heads and of both tables in double precision, and squares of heads."""
    weights = sum(one.members * 4 * one.layers * one.d_model * one.heads * one.d_head for one in models)
    tables = 3 * sum(one.members * one.vocabulary * one.d_model for one in models)
    pairs = sum(one.members for one in models) ** 2 / 2
    largest = max(models, key=lambda one: one.weights)
    seconds = pairs * 6 * largest.vocabulary * largest.d_model**2 / 1e10
    return need(TORCH, 12 * (weights + tables) + 6 * 8 * _heads(models) ** 2, seconds)


def weighing(models, settings):
    """`weigh_evidence`: thirty matrices of heads by heads, and permutations of pairs of heads."""
    heads = _heads(models)
    seconds = 30 * settings["validation"]["permutations"] * (1e-4 + 1e-8 * heads**2)
    return need(ANALYSIS, 30 * 8 * heads**2, seconds)


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
    return need(TORCH, held, model.members * (_passes(model, sequences * passes, size) + readout) + 20)


def circuits(models):
    """`generate_text`, `compare_losses`, `read_circuits`.

    A member, a block of logits, and from its weights those between the thousand most frequent tokens in double
    precision; the patterns of one layer as read and as sorted.
    """
    held = max(2 * one.loaded + 3 * FLOAT * one.heads * one.prompts * one.entries for one in models)
    return need(TORCH, held + 2 * FLOAT * LOGITS, 20 * len(models))


def squares(models):
    """`draw_head_distances`, `draw_embedded_distances`: a dozen pictures of heads by heads, and scikit-learn."""
    return need(ANALYSIS, 12 * 8 * _heads(models) ** 2)


def logits(models):
    """`draw_one_cluster`: of every head a row for each of a thousand tokens, with the model's name as text."""
    return need(FIGURES, 2000 * min(1000, models[0].vocabulary) * _heads(models))


def global_views(model, sentences, methods, **others):
    """`draw_global_view`: a point for every query and key of every map of a head, as a table some times over."""
    points = 2 * min(sentences, model.queries_keys) * model.context
    return need(FIGURES, 3 * 100 * model.all_heads * len(methods) * points)


def atlas(models):
    """`write_atlas` and its like: one layer of a member, some times over while a head is measured, and the page."""
    layer = max(FLOAT * one.heads * one.prompts * one.entries for one in models)
    whole = sum(FLOAT * one.members * one.layers * one.heads * one.prompts * one.entries for one in models)
    return need(FIGURES, 3 * layer + (100 << 20), 60 + whole / 1e7)


def of_rule(config, rule, name=None):
    """What a job of a rule asks for under a completed configuration; `name` is its model, corpus or tokenizer."""
    threads = config["threads"]
    if rule == "fetch_corpus":
        return collecting(corpus(config["corpora"][name]))
    if rule == "fetch_tokenizer":
        return tokenizing(0)
    if rule == "build_tokenizer":
        return tokenizing(corpus(config["corpora"][config["tokenizers"][name]["corpus"]]))
    if rule in OF_STUDIES:
        study, need = OF_STUDIES[rule]
        settings = config["studies"][study]
        return need([model(config, each) for each in settings["models"]], settings, threads)
    if rule in OF_MODELS:
        text = corpus(config["corpora"][config["models"][name]["corpus"]])
        return OF_MODELS[rule](model(config, name), config["studies"], text, threads)
    if rule in ("write_atlas", "split_atlas", "export_heads"):
        shown = {
            each: model(config, each) for target in config["targets"] for each in config["studies"][target]["models"]
        }
        return atlas(list(shown.values()))
    # figures and findings: tables that are small, and a canvas; or the statistics that papers are compared by
    return Need(ANALYSIS if rule == "compare_with_papers" else FIGURES, 10)


def asked_by(config, rule, on_gpu):
    """What jobs of a rule ask for under a completed configuration: `mem_mb` and `runtime` (minutes), by wildcards and
    attempt. `on_gpu` is called when a job is planned: whether it runs on a GPU."""

    def estimated(wildcards):
        named = {wildcards.get(kind) for kind in ("corpus", "tokenizer", "model")} - {None}
        return of_rule(config, rule, *named)

    return {
        "mem_mb": lambda wildcards, attempt: attempt * (estimated(wildcards).memory + bool(on_gpu()) * CUDA),
        "runtime": lambda wildcards, attempt: attempt * estimated(wildcards).minutes,
    }


OF_MODELS = {  # rules of one model: its numbers, the studies, bytes of its text, threads
    "sample_windows": lambda one, studies, text, threads: tokenizing(text, one),
    "measure_baselines": lambda one, studies, text, threads: tokenizing(0, one),
    "train_model": lambda one, studies, text, threads: training(one, threads),
    "fetch_model": lambda one, studies, text, threads: fetching(one),
    "extract_patterns": lambda one, studies, text, threads: extraction(one),
    "extract_queries_keys": lambda one, studies, text, threads: vectors(one),
    "score_heads": lambda one, studies, text, threads: scoring(one),
    "read_token_circuits": lambda one, studies, text, threads: scoring(one),
    "measure_knockouts": lambda one, studies, text, threads: knocking_out(one, **studies["phrenology"]["knockouts"]),
    "screen_heads": lambda one, studies, text, threads: screening(one, **studies["phrenology"]["knockouts"]),
    "choose_scales": lambda one, studies, text, threads: pairs(one, studies["attentionviz"]["pairs"]),
    "measure_invariance": lambda one, studies, text, threads: pairs(one, studies["attentionviz"]["pairs"]),
    "measure_parts_of_speech": lambda one, studies, text, threads: pairs(one, studies["attentionviz"]["pairs"]),
    "map_chosen_heads": lambda one, studies, text, threads: mapping(  # by UMAP as published
        one, studies["attentionviz"]["sentences"], 28, ["umap"]
    ),
    "compare_constructions": lambda one, studies, text, threads: mapping(
        one,
        studies["attentionviz"]["all_heads"]["sentences"],
        5 * one.all_heads * len(studies["attentionviz"]["all_heads"]["methods"]),
        studies["attentionviz"]["all_heads"]["methods"],
    ),
    "draw_global_view": lambda one, studies, text, threads: global_views(one, **studies["attentionviz"]["all_heads"]),
    "measure_repeats": lambda one, studies, text, threads: induction(one, studies["induction"]["trials"], 60),
    "measure_in_context": lambda one, studies, text, threads: induction(one, studies["induction"]["texts"], 60),
    "trace_training": lambda one, studies, text, threads: induction(
        one, studies["induction"]["sequences"], 60 * one.training.get("snapshots", 0)
    ),
    "ablate_induction": lambda one, studies, text, threads: induction(
        one,
        studies["induction"]["sequences"],  # below: sets of heads, kinds of ablation, total, direct and on other text;
        # sets of each size and of their control, with the last norm free and held
        (studies["induction"]["ablated"] + 1) * (studies["induction"]["controls"] + 1) * 3 * 3
        + studies["induction"]["ablated"] * 2 * 6 * 2,
    ),
}

OF_STUDIES = {  # rules of a study: the numbers of its models, its settings, threads
    "measure_distances": ("phrenology", lambda models, study, threads: distances(models)),
    "decompose_patterns": ("phrenology", lambda models, study, threads: distances(models)),
    "draw_pair_weights": ("phrenology", lambda models, study, threads: distances(models)),
    "draw_head_distances": ("phrenology", lambda models, study, threads: squares(models)),
    "draw_embedded_distances": ("phrenology", lambda models, study, threads: squares(models)),
    "draw_one_cluster": ("phrenology", lambda models, study, threads: logits(models)),
    "project_heads": ("phrenology", lambda models, study, threads: projecting(models)),
    "project_first_token": ("phrenology", lambda models, study, threads: first_token(models)),
    "fit_autoencoders": ("phrenology", lambda models, study, threads: autoencoders(models, study["autoencoders"])),
    "search_resolutions": ("phrenology", lambda models, study, threads: searching(models, study)),
    "find_kinds": ("phrenology", lambda models, study, threads: finding_kinds(models, study)),
    "match_partners": ("phrenology", lambda models, study, threads: resampling_groups(models, study)),
    "measure_stability": ("phrenology", lambda models, study, threads: resampling_groups(models, study)),
    "place_heads": ("phrenology", lambda models, study, threads: placing(models, study)),
    "compare_knockouts": (
        "phrenology",
        lambda models, study, threads: comparing(models, study["knockouts"]["prompts"]),
    ),
    "transplant_heads": (
        "phrenology",
        lambda models, study, threads: transplanting(models, study["validation"]["windows"]),
    ),
    "compare_circuits": ("phrenology", lambda models, study, threads: comparing_circuits(models)),
    "weigh_evidence": ("phrenology", lambda models, study, threads: weighing(models, study)),
    "draw_universality": ("phrenology", lambda models, study, threads: distances(models)),
    "draw_knockout_effects": ("phrenology", lambda models, study, threads: distances(models)),
    "draw_mean_patterns": ("phrenology", lambda models, study, threads: distances(models)),
    "generate_text": ("circuits", lambda models, study, threads: circuits(models)),
    "compare_losses": ("circuits", lambda models, study, threads: circuits(models)),
    "read_circuits": ("circuits", lambda models, study, threads: circuits(models)),
}
