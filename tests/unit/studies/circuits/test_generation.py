"""Generation continues prompts as `transformers` does, whatever stands beside them in a batch."""

import json
from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest
import torch
import transformers
from safetensors.torch import save_file

from architectures import architecture_of
from headatlas.base.errors import InputError
from headatlas.models import families, pretrained, transformer
from headatlas.studies.circuits import generation

PROMPTS = [[5, 9, 2], [7], [1, 2, 3, 4, 5, 6]]
SHAPE = architecture_of(
    vocabulary=40, context=12, layers=2, heads=2, d_model=16, d_head=8, activation="none", residual=True
)


def weights_of(seeds):
    """Weights under which not all tokens are about as likely."""
    weights = transformer.initial_weights(SHAPE, seeds)
    return {name: value * 2 if name == "unembedding.weight" else value for name, value in weights.items()}


def written(folder, weights, config):
    save_file(weights, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    return families.load_family(folder / "model.safetensors", folder / "config.json")


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    config = {"kind": "toy", "architecture": asdict(SHAPE), "seeds": [3, 4], "pad": 39, "mask": None}
    return written(tmp_path_factory.mktemp("toy"), weights_of([3, 4]), config)


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    """A small random GPT-2, as a family and as transformers has it."""
    folder = tmp_path_factory.mktemp("gpt2")
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        n_layer=2, n_head=2, n_embd=16, n_positions=24, vocab_size=40, bos_token_id=0, eos_token_id=0, pad_token_id=0
    )
    model = transformers.GPT2LMHeadModel(config).eval()
    for weight in model.parameters():
        weight.data.mul_(8)
    model.save_pretrained(folder / "saved")
    return written(folder, *pretrained.fetch([{"name": str(folder / "saved")}], "causal")), model


def continued(model, prompt, length):
    given = torch.tensor([prompt])
    options = {"do_sample": False, "max_new_tokens": length, "eos_token_id": None, "pad_token_id": 0}
    return model.generate(given, attention_mask=torch.ones_like(given), **options)[0].tolist()


def test_greedy_text_is_that_of_transformers(gpt2):
    family, model = gpt2
    found = generation.generate(family, PROMPTS, length=15, greedy=True)
    assert found == [continued(model, prompt, 15) for prompt in PROMPTS]
    assert len({tuple(text[-15:]) for text in found}) == len(PROMPTS)


def test_greedy_text_of_a_real_model_is_that_of_transformers(mirror, tmp_path):
    folder = mirror / "models" / "stories260K"
    family = written(tmp_path, *pretrained.fetch([{"name": str(folder)}], "causal"))
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    prompts = [[1, 403, 407, 261], [1, 346]]
    found = generation.generate(family, prompts, length=20, greedy=True)
    assert found == [continued(model, prompt, 20) for prompt in prompts]


def test_greedy_text_of_a_toy_is_the_likeliest_of_its_logits(toy):
    (text,) = generation.generate(toy, [[5, 9, 2]], length=6, greedy=True, member=1)
    logits = transformer.logits(weights_of([4]), SHAPE, torch.tensor([[text]]))[0, 0]
    assert logits.argmax(-1)[2:-1].tolist() == text[3:]


@pytest.mark.parametrize("kind", ["toy", "gpt2"])
def test_a_text_does_not_depend_on_its_company(kind, toy, gpt2):
    family = toy if kind == "toy" else gpt2[0]
    options = {"length": 5, "top_k": 10, "seed": 7}
    together = generation.generate(family, PROMPTS, **options)
    assert together[0] == generation.generate(family, PROMPTS[:1], **options)[0]
    assert together == generation.generate(family, PROMPTS, **options)
    assert together != generation.generate(family, PROMPTS, **{**options, "seed": 8})
    assert together[2][:6] == PROMPTS[2]
    greedy = generation.generate(family, PROMPTS, length=5, greedy=True)
    assert greedy == generation.generate(family, PROMPTS, length=5, top_k=1)
    assert greedy == generation.generate(family, PROMPTS, length=5, top_p=1e-9)
    assert greedy[1] == generation.generate(family, [PROMPTS[1]], length=5, greedy=True)[0]


@pytest.mark.parametrize("options", [{}, {"temperature": 0.7}, {"top_k": 5}, {"top_p": 0.6}])
def test_probabilities_are_those_of_transformers(options):
    logits = torch.randn(6, 30, generator=torch.Generator().manual_seed(0)) * 2
    expected = logits
    if "temperature" in options:
        expected = transformers.TemperatureLogitsWarper(0.7)(None, expected)
    if "top_k" in options:
        expected = transformers.TopKLogitsWarper(5)(None, expected)
    if "top_p" in options:
        expected = transformers.TopPLogitsWarper(0.6)(None, expected)
    torch.testing.assert_close(generation.probabilities(logits, **options), expected.softmax(-1))


def test_draws_follow_the_probabilities(toy):
    texts = generation.generate(toy, [[5, 9, 2]] * 2000, length=1, top_k=4)
    logits = toy.predictor(0)(torch.tensor([[5, 9, 2]]), torch.tensor([2]))[0]
    expected = generation.probabilities(logits, top_k=4)
    counts = torch.bincount(torch.tensor([text[-1] for text in texts]), minlength=40) / 2000
    assert (counts > 0).sum() == 4
    torch.testing.assert_close(counts, expected, atol=0.04, rtol=0)


def test_a_text_that_outgrows_the_context_is_an_error_or_cropped(toy):
    prompt = list(range(10))
    assert len(generation.generate(toy, [prompt], length=3, greedy=True)[0]) == 13  # the last one is not read
    with pytest.raises(InputError, match="prompt 0: 10 tokens and 4 to add; this model's context is 12, so"):
        generation.generate(toy, [prompt], length=4)
    (cropped,) = generation.generate(toy, [[8, 8, *range(12)]], length=1, greedy=True, crop=True)
    assert cropped[-1] == generation.generate(toy, [list(range(12))], length=1, greedy=True)[0][-1]


def test_banned_tokens_and_stops(toy):
    (text,) = generation.generate(toy, [[5, 9, 2]], length=6, greedy=True)
    first = text[3]
    assert generation.generate(toy, [[5, 9, 2]], length=6, greedy=True, stop=first)[0] == text[:4]
    assert first not in generation.generate(toy, [[5, 9, 2]], length=6, greedy=True, banned=[first])[0][3:]


@pytest.mark.parametrize(
    ("prompts", "options", "said"),
    [
        ([[]], {}, "prompt 0: it has no tokens"),
        ([[3], [40]], {}, "prompt 1: token 40; this model's vocabulary is 0 to 39"),
        ([[3]], {"temperature": 0}, "temperature: 0"),
        ([[3]], {"top_k": 0}, "top_k: 0"),
        ([[3]], {"top_p": 1.5}, "top_p: 1.5"),
    ],
)
def test_bad_requests_are_one_line(toy, prompts, options, said):
    with pytest.raises(InputError, match=said):
        generation.generate(toy, prompts, length=1, **options)


def test_bidirectional_models_do_not_continue(tmp_path):
    shape = replace(SHAPE, causal=False)
    config = {"kind": "toy", "architecture": asdict(shape), "seeds": [0], "pad": None, "mask": 3}
    family = written(tmp_path, transformer.initial_weights(shape, [0]), config)
    with pytest.raises(InputError, match="only a causal one"):
        generation.generate(family, [[1]], length=1)


def test_continuations():
    pieces = ["this", "␣mov", "ie", "↵", "is", "##n", ".", "a"]
    continued = [False, False, True, False, False, True, False, False]
    assert generation.continuations(pieces, spaced=True) == continued
    words = ["whole", "words", "##s"]
    assert generation.continuations(words, spaced=False) == [False, False, True]


class Named:
    """A tokenizer of which only the names of its tokens are asked."""

    def __init__(self, names):
        self._names, self.backend = names, SimpleNamespace(decoder=None)

    def __len__(self):
        return len(self._names)

    def names(self, ids):
        return [self._names[index] for index in ids]


def test_a_text_is_told_token_by_token():
    names = ["<s>", "␣the", "s", "is", "##x"]
    table = generation.text_table([[1, 2, 3], [1, 2, 4]], Named(names), begun=2)
    assert table["sample"].tolist() == [-1, -1, -1, 0, 0, 0]
    assert table["piece"].tolist() == ["␣the", "s", "is", "␣the", "s", "##x"]
    assert table["continuation"].tolist() == [False, True, True, False, True, True]
    assert table["generated"].tolist() == [False, False, True] * 2
