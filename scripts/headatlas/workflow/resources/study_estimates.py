"""Estimates of the steps that compare all models of a study, counted as in `estimates`."""

from headatlas.attention import STREAMED
from headatlas.models.forward_batches import MEMORY
from headatlas.models.memory_limits import EFFECTS, KNOCKOUT, LOGITS
from headatlas.studies.phrenology import parts_of
from headatlas.workflow.resources.estimates import ANALYSIS, FIGURES, TORCH, UMAP, pass_seconds
from headatlas.workflow.resources.model_sizes import FLOAT, need


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
    return need(TORCH, held, pass_seconds(largest, passes) / 4 + readout)


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


def squares(models):
    """`draw_head_distances`, `draw_embedded_distances`: a dozen pictures of heads by heads, and scikit-learn."""
    return need(ANALYSIS, 12 * 8 * _heads(models) ** 2)


def logits(models):
    """`draw_one_cluster`: of every head a row for each of a thousand tokens, with the model's name as text."""
    return need(FIGURES, 2000 * min(1000, models[0].vocabulary) * _heads(models))


def circuits(models):
    """`generate_text`, `compare_losses`, `read_circuits`.

    A member, a block of logits, and from its weights those between the thousand most frequent tokens in double
    precision; the patterns of one layer as read and as sorted.
    """
    held = max(2 * one.loaded + 3 * FLOAT * one.heads * one.prompts * one.entries for one in models)
    return need(TORCH, held + 2 * FLOAT * LOGITS, 20 * len(models))


def atlas(models):
    """`write_atlas` and its like: one layer of a member, some times over while a head is measured, and the page."""
    layer = max(FLOAT * one.heads * one.prompts * one.entries for one in models)
    whole = sum(FLOAT * one.members * one.layers * one.heads * one.prompts * one.entries for one in models)
    return need(FIGURES, 3 * layer + (100 << 20), 60 + whole / 1e7)
