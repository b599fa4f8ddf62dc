"""What can be had of a tiny random model of a type: each answer held against the model of `transformers` itself."""

import json
import re
from types import SimpleNamespace

import numpy as np
import torch
from safetensors.torch import save_file

import tiny_models
from headatlas.base.errors import InputError
from headatlas.models import families, interventions, pretrained

SIZE = 14  # positions: more than the windows of sliding attention and the budgets of sparse attention
PAD = 0
# What the projection behind the heads is called, in any type.
OUTPUTS = r"(o_proj|o_proj\.linear|c_proj|out_proj|dense|out_lin|Wo|wo|o|project_o|attention_out|o_b_proj)"
BESIDE = r"vision|visual|image|audio|patch|encoder_attn"  # parts that no token goes through
LARGEST = 6_000_000  # parameters of what is called tiny


def built(kind, task):
    """The configuration of a tiny model, or the reason why there is none."""
    try:
        config = tiny_models.configuration(kind, task)
        with torch.device("meta"):
            made = tiny_models.AUTO[task].from_config(config)
    except Exception as error:  # whatever the code of 200 types may raise
        return None, f"no tiny model of it could be made ({type(error).__name__})"
    if sum(parameter.numel() for parameter in made.parameters()) > LARGEST:
        return None, "no tiny model of it could be made (parts of a fixed size)"
    return config, None


def examine(kind, task, folder):
    """One type: a dict of `line` where it is refused or cannot be made, else of the largest differences found.

    Returns
    -------
    dict
        `patterns`, `left`, `right` (padding), `zeroed` (logits of ablations), `qk` and `ov`: float, or the line that
        says why there is no such number.
    """
    config, reason = built(kind, task)
    if config is None:
        return {"line": reason}
    checkpoint = tiny_models.save(folder / "given", kind, task)
    try:
        weights, description = pretrained.fetch([checkpoint], task, PAD)
    except InputError as error:
        return {"line": str(error).replace(str(folder / "given"), "").lstrip(": ")}
    save_file(weights, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(description))
    family = families.load_family(folder / "model.safetensors", folder / "config.json")
    peer = tiny_models.AUTO[task].from_pretrained(checkpoint["name"], attn_implementation="eager", dtype=torch.float32)
    one = SimpleNamespace(kind=kind, task=task, family=family, peer=peer.eval())
    found = {"own_code": family._own_code, "context": family.context}
    for padding in ("none", "left", "right"):
        found["patterns" if padding == "none" else padding] = patterns(one, padding)
    found["zeroed"] = zeroed(one)
    found |= weights_of_heads(one)
    found["other_terms"] = family.other_terms(SIZE)
    return found


def tokens_of(one, padding="none"):
    """Two windows, the second one padded: ids and which are real."""
    highest = min(one.family.vocabulary, tiny_models.VOCABULARY)
    tokens = np.random.default_rng(0).integers(5, highest, (2, SIZE))
    real = np.ones_like(tokens)
    if padding == "left":
        real[1, :3] = 0
    if padding == "right":
        real[1, -3:] = 0
    return np.where(real == 1, tokens, PAD), real


def patterns(one, padding):
    """Largest difference between what is taken and `output_attentions`, over queries that are real."""
    tokens, real = tokens_of(one, padding)
    with torch.no_grad():
        call = one.peer(torch.tensor(tokens), attention_mask=torch.tensor(real), output_attentions=True)
    expected = [each for each in call.get("attentions") or () if each is not None]
    taken = list(one.family.attention(tokens, 0))
    if len(expected) != len(taken) or any(each.min() < 0 or each.max() > 1.001 for each in expected):
        return "its eager implementation gives no patterns"
    kept = torch.tensor(real).bool()[:, None, :, None]
    differences = [
        ((layer.pattern - other).where(kept, 0)).abs().max() for layer, other in zip(taken, expected, strict=True)
    ]
    sums = [((layer.pattern.sum(-1) - 1).abs()).max() for layer in taken]
    return max(float(each) for each in differences + sums)


def projections(one):
    """The modules that read the heads' outputs, by name: (layer, name, module), or None where names do not tell."""
    family, found = one.family, []
    width = family.heads * family.d_value
    base = one.peer.base_model
    for name, module in base.named_modules():
        if not re.search(rf"(^|\.){OUTPUTS}$", name) or re.search(BESIDE, name):
            continue
        weight = getattr(module, "weight", None)
        if weight is None or weight.ndim < 2:
            continue
        parent = name.rsplit(".", 1)[0]
        if re.search(r"(attn|attention|mixer|attentions\.\d+)", parent) or re.search(r"\.post_attention$", parent):
            rows = weight.shape[0] if type(module).__name__ == "Conv1D" else weight.shape[1]
            if rows >= width:
                found.append(module)
    if len(found) == family.layers:
        return found
    shared = found * family.layers if len(found) == 1 else None  # ALBERT
    return shared


def zeroed(one):
    """Largest difference in logits between ablating heads here and zeroing what the output projection reads of them."""
    modules = projections(one)
    try:
        member = interventions.open_member(one.family, 0)
    except InputError as error:
        return str(error)
    if modules is None:
        return "the output projection is not told by its name"
    tokens, real = tokens_of(one, "right")
    trace = member.run(tokens)
    worst, shared = 0.0, len({id(module) for module in modules}) == 1
    for layer in range(member.layers):
        hidden = member.replaced(trace, layer, -trace.outputs[layer].permute(2, 0, 1, 3))
        logits = member.readout.logits(hidden)
        for head in range(member.heads):
            expected = _zeroed_by_hook(one, modules[layer], layer if shared else 0, head, tokens, real)
            difference = (logits[head] - expected).where(torch.tensor(real).bool()[..., None], 0)
            worst = max(worst, float(difference.abs().max() / expected.abs().max().clamp(1)))
    return worst


def _zeroed_by_hook(one, module, call, head, tokens, real):
    d_value, calls = one.family.d_value, [0]

    def zero(_, inputs):
        calls[0] += 1
        if calls[0] - 1 != call:
            return None
        changed = inputs[0].clone()
        axis = 1 if type(module).__name__ in ("Conv1d", "ConvActivation") else -1
        changed.narrow(axis, head * d_value, d_value).zero_()
        return (changed, *inputs[1:])

    hook = module.register_forward_pre_hook(zero)
    try:
        with torch.no_grad():
            return one.peer(torch.tensor(tokens), attention_mask=torch.tensor(real)).logits
    finally:
        hook.remove()


def weights_of_heads(one):
    """How far matrices miss the model's own queries, keys and what its heads write, for windows of one token."""
    family, layer = one.family, one.family.layers - 1
    for name, parameter in family.model(0).named_parameters():  # matrices leave out biases
        if name.endswith("bias"):
            parameter.data.zero_()
    family._weights_of = family._unembedding_of = None
    try:
        w = family.head_weights(0, layer)
    except InputError as error:
        return {"qk": str(error), "ov": str(error)}
    tokens = np.arange(5, 25)[:, None]
    taken = list(family.attention(tokens, 0))[layer]
    streams, written = _surroundings(one, layer, tokens)
    scale = family._scalings[layer] / family.scaling
    outputs = np.einsum("hdk,hke->de", w["W_V"], w["W_O"])
    best = None
    for name, rows in _normalised(streams).items():
        queries, keys = (
            np.einsum("td,hdk->thk", rows, w[part].astype(np.float64) / (scale if part == "W_Q" else 1))
            for part in ("W_Q", "W_K")
        )
        own = (taken.queries[:, :, 0].numpy() / scale, taken.keys[:, :, 0].numpy())
        pairs = zip((queries, keys), own, _norms_of_heads(family._weights._layers[layer].block.module), strict=True)
        qk = max(_missed(found, given, norm) for found, given, norm in pairs)
        ov = np.inf if written is None else _missed((rows @ outputs)[:, None], written[:, None])
        if best is None or max(qk, ov) < max(best["qk"], best["ov"]):
            best = {"qk": qk, "ov": ov, "norm": name}
    return best


def _norms_of_heads(block):
    """The LayerNorms, with a bias, that queries and keys go through in a block; None where there are none."""
    found = {"q": None, "k": None}
    for name, module in block.named_modules():
        told = re.search(r"(^|\.)(q|k)_(layernorm|norm|ln)$", name)
        if told and "indexer" not in name and "LayerNorm" in type(module).__name__:
            found[told[2]] = module
    return found["q"], found["k"]


def _missed(found, own, norm=None):
    """How far found vectors (token, head, part) miss the model's: biases aside, or up to a norm that divides them."""
    flat = found.reshape(len(found), -1), own.reshape(len(own), -1)
    exact = [each - each.mean(0) for each in flat]
    if norm is not None:
        weight = norm.weight.detach().double().numpy()
        bare = [each.reshape(-1, *weight.shape) / weight for each in (found, own)]
        return 1 - _cosine(bare[0] - bare[0].mean(-1, keepdims=True), bare[1])
    misses = [np.abs(exact[0] - exact[1]).max() / np.abs(exact[1]).max()]
    factors = (exact[0] * exact[1]).sum(0) / np.square(exact[0]).sum(0)  # a norm behind the projection scales each part
    misses.append(np.abs(exact[0] * factors - exact[1]).max() / np.abs(exact[1]).max())
    for parts in (1, 2):
        pieces = [np.array_split(each, parts, axis=-1) for each in (found, own)]
        misses.append(max(1 - _cosine(*pair) for pair in zip(*pieces, strict=True)))
    return float(min(misses))


def _cosine(one, other):
    one, other = (each.reshape(-1, each.shape[-1]) for each in (one, other))
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float(((one * other).sum(1) / norms.clip(1e-12)).min())


def _normalised(streams):
    centred = streams - streams.mean(-1, keepdims=True)
    return {
        "none": streams,
        "root mean square": streams / np.sqrt(np.square(streams).mean(-1, keepdims=True)),
        "standard deviation": centred / np.sqrt(np.square(centred).mean(-1, keepdims=True)),
    }


def _surroundings(one, layer, tokens):
    """What the block of a layer reads, (token, d_model), and what its heads write, where a name tells which module."""
    block = one.family._weights._layers[layer].block.module
    calls = sum(each.block.module is block for each in one.family._weights._layers)
    model, streams, written = one.family.model(0), [], []

    def read(module, arguments, keywords):
        hidden = arguments[0] if arguments else keywords["hidden_states"]
        streams.append(hidden.flatten(1).double().numpy())

    modules = projections(SimpleNamespace(**vars(one) | {"peer": model}))
    hooks = [block.register_forward_pre_hook(read, with_kwargs=True)]
    if modules is not None:
        hooks.append(modules[layer].register_forward_pre_hook(lambda *call: written.append(call[1][0])))
    try:
        with torch.no_grad():
            model.base_model(torch.tensor(tokens), attention_mask=torch.ones_like(torch.tensor(tokens)))
    finally:
        for hook in hooks:
            hook.remove()
    assert len(streams) % calls == 0
    if not written:
        return streams[-1], None
    width = one.family.heads * one.family.d_value
    alone = written[-1].flatten(1)
    alone[:, width:] = 0  # ConvBERT's convolutions stand beside the heads
    with torch.no_grad():
        return streams[-1], modules[layer](alone.view(written[-1].shape)).flatten(1).double().numpy()
