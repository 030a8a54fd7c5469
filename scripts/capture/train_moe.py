#!/usr/bin/env python3
"""Trains a small Mixture-of-Experts language model and records how it routes text that it has not seen.

usage: train_moe.py CORPUS --out FOLDER [--preset moe64k8,moe128k6] [--seconds 200] [--tokens 40960]

CORPUS holds <domain>.txt or <domain>.txt.xz, documents parted by NUL characters, as build_corpus.py writes them.
Needs PyTorch 2.8 or later with CUDA, numpy and tokenizers. Ten minutes on one H100 are enough for two presets.

For each preset it writes FOLDER/<preset>.h5 (or .npz where h5py is missing): the chosen experts and their gate weights,
token ids, requests, positions and domains; FOLDER/<preset>-scores.h5: a part of the same tokens with the gate's score of
EVERY expert, as choices beyond top-k, by falling score, so that other routings can be tried on it; and
FOLDER/<preset>.json: the model, its loss and the load of each expert.
"""
import argparse
import dataclasses
import json
import lzma
import math
import pathlib
import sys
import time

try:
    import numpy as np
    import torch
    import torch.nn.functional as F
    from torch import nn

    from trace_file import write_trace
except ImportError as error:
    if __name__ != "__main__":
        raise
    sys.exit(f"train_moe.py: numpy and PyTorch are needed: {error}")

try:
    import h5py  # noqa: F401  (asked for here, used by trace_file)
    FORMAT = "h5"
except ImportError:
    FORMAT = "npz"

PIECE_CHARACTERS = 20_000
PIECE_CHARACTERS_MIN = 2_000
HELD_OUT_EVERY = 40  # one piece of so many is kept from training, in every domain
SCORED_TOKENS_MAX = 256  # the first of a document, whose scores of all experts are kept, so that many documents fit


@dataclasses.dataclass
class Preset:
    layers: int
    experts: int
    top_k: int
    hidden: int = 512
    expert_hidden: int = 256
    gate: str = "softmax"  # or "sigmoid": affinities, picked with a bias that evens out the load (DeepSeek-V3's way)
    shared_hidden: int = 0  # of an expert that every token goes through
    dense_layers: int = 0  # the first layers, without experts
    balance_loss: float = 0.01
    bias_rate: float = 0.001
    sequence: int = 512
    batch: int = 64
    learning_rate: float = 1e-3
    vocabulary: int = 16384


PRESETS = {
    # The shape of OLMoE-1B-7B's routing; the recipe of the sample trace.
    "moe64k8": Preset(layers=16, experts=64, top_k=8),
    # DeepSeek's: fine-grained experts, sigmoid gate, balance by bias, one shared expert, a dense first layer.
    "moe128k6": Preset(layers=12, experts=128, top_k=6, expert_hidden=192, gate="sigmoid", shared_hidden=384,
                       dense_layers=1, balance_loss=0.0),
    # Few large experts, after Mixtral and its like.
    "moe32k2": Preset(layers=8, experts=32, top_k=2, expert_hidden=512),
    # For a try without a GPU.
    "tiny": Preset(layers=3, experts=8, top_k=2, hidden=64, expert_hidden=32, sequence=64, batch=4, vocabulary=512),
    "tiny-sigmoid": Preset(layers=3, experts=16, top_k=3, hidden=64, expert_hidden=32, gate="sigmoid", shared_hidden=32,
                           dense_layers=1, balance_loss=0.0, sequence=64, batch=4, vocabulary=512),
}


def note(text):
    print(text, file=sys.stderr, flush=True)


def read_corpus(folder):
    """Pieces of text by domain: those to train on, and those held out."""
    training, held_out = [], []  # (domain, text)
    files = sorted(path for path in pathlib.Path(folder).iterdir() if path.name.endswith((".txt", ".txt.xz")))
    if not files:
        raise SystemExit(f"{folder} holds no .txt or .txt.xz; build_corpus.py makes one")
    domains = [path.name.split(".")[0] for path in files]
    for domain, path in enumerate(files):
        data = lzma.open(path).read() if path.suffix == ".xz" else path.read_bytes()
        pieces = []
        for document in data.decode("utf-8", "ignore").split("\0"):
            for start in range(0, len(document), PIECE_CHARACTERS):
                piece = document[start:start + PIECE_CHARACTERS]
                if len(piece) >= PIECE_CHARACTERS_MIN:
                    pieces.append((domain, piece))
        for number, piece in enumerate(pieces):
            (held_out if number % HELD_OUT_EVERY == HELD_OUT_EVERY // 2 else training).append(piece)
    return domains, training, held_out


class Bytes:
    """Bytes as tokens, where the package tokenizers is missing: enough for a try, too coarse for a trace."""

    size = 256

    def encode(self, texts):
        return [np.frombuffer(text.encode(), np.uint8).astype(np.int32) for text in texts]


class BytePairs:
    def __init__(self, texts, size):
        from tokenizers import Tokenizer, models, pre_tokenizers, trainers

        level = pre_tokenizers.ByteLevel
        self.tokenizer = Tokenizer(models.BPE())
        self.tokenizer.pre_tokenizer = level(add_prefix_space=False)
        trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=level.alphabet(), show_progress=False)
        self.tokenizer.train_from_iterator(texts, trainer)
        self.size = size

    def encode(self, texts):
        return [np.array(encoding.ids, np.int32) for encoding in self.tokenizer.encode_batch(texts)]


def make_tokenizer(training, size):
    step = max(1, len(training) // 2500)
    try:
        return BytePairs([text[:10_000] for _, text in training[::step]], size)
    except ImportError:
        note("the package tokenizers is missing: bytes are the tokens")
        return Bytes()


def rms_norm(x, weight):
    return (x.float() * torch.rsqrt(x.float().square().mean(-1, keepdim=True) + 1e-6)).to(x.dtype) * weight


def attention(q, k, v):
    if hasattr(F, "scaled_dot_product_attention"):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(1)
    return scores.masked_fill(later, -math.inf).softmax(-1) @ v


def grouped_product(rows, weights, ends):
    """Rows of group g, up to ends[g], times weights[g]."""
    if rows.is_cuda:
        return torch._grouped_mm(rows.bfloat16(), weights.bfloat16(), offs=ends)
    starts = [0] + ends.tolist()
    return torch.cat([rows[a:b] @ weights[g] for g, (a, b) in enumerate(zip(starts, starts[1:]))])


class Experts(nn.Module):
    """A gate and the experts it picks; `recorded` keeps the last pass's routing where `record` is set."""

    def __init__(self, preset):
        super().__init__()
        self.preset = preset
        hidden, wide, experts = preset.hidden, preset.expert_hidden, preset.experts
        self.gate = nn.Parameter(torch.randn(experts, hidden) * hidden ** -0.5 * 0.5)
        self.register_buffer("bias", torch.zeros(experts))
        self.up = nn.Parameter(torch.randn(experts, hidden, 2 * wide) * hidden ** -0.5)
        self.down = nn.Parameter(torch.randn(experts, wide, hidden) * wide ** -0.5 / math.sqrt(2 * preset.layers))
        self.record = False
        self.recorded = None

    def choose(self, x):
        """The chosen experts by falling weight, their weights, and all scores that the choice compared."""
        with torch.autocast(x.device.type, enabled=False):
            logits = F.linear(x.float(), self.gate.float())
        if self.preset.gate == "softmax":
            scores = logits.softmax(-1)
            weights, ids = scores.topk(self.preset.top_k, -1)
            return ids, weights, scores, scores
        affinity = logits.sigmoid()
        compared = affinity + self.bias
        ids = compared.detach().topk(self.preset.top_k, -1)[1]
        weights, order = affinity.gather(1, ids).sort(-1, descending=True)
        return ids.gather(1, order), weights / weights.sum(-1, keepdim=True), affinity, compared

    def forward(self, x):
        preset = self.preset
        ids, weights, scores, compared = self.choose(x)
        if self.record:
            self.recorded = (ids, weights, compared.detach().clamp(min=0))
        chosen = ids.reshape(-1)
        order = chosen.argsort(stable=True)
        count = torch.bincount(chosen, minlength=preset.experts)
        share = count.float() / chosen.numel()
        self.balance = preset.experts * (share * scores.mean(0)).sum()
        if self.training and preset.gate == "sigmoid":
            self.bias += preset.bias_rate * torch.sign(1 / preset.experts - share)
        source = torch.div(order, preset.top_k, rounding_mode="floor")
        ends = count.cumsum(0).to(torch.int32)
        wide = grouped_product(x[source], self.up, ends)
        wide = F.silu(wide[:, :preset.expert_hidden]) * wide[:, preset.expert_hidden:]
        out = grouped_product(wide, self.down, ends).float() * weights.reshape(-1)[order, None]
        return torch.zeros(x.shape, dtype=torch.float32, device=x.device).index_add(0, source, out).to(x.dtype)


class FeedForward(nn.Module):
    def __init__(self, hidden, wide):
        super().__init__()
        self.up = nn.Linear(hidden, 2 * wide, bias=False)
        self.down = nn.Linear(wide, hidden, bias=False)

    def forward(self, x):
        a, b = self.up(x).chunk(2, -1)
        return self.down(F.silu(a) * b)


class Block(nn.Module):
    def __init__(self, preset, layer):
        super().__init__()
        hidden = preset.hidden
        self.heads = max(1, hidden // 64)
        self.attention_norm = nn.Parameter(torch.ones(hidden))
        self.expert_norm = nn.Parameter(torch.ones(hidden))
        self.qkv = nn.Linear(hidden, 3 * hidden, bias=False)
        self.out = nn.Linear(hidden, hidden, bias=False)
        self.experts = Experts(preset) if layer >= preset.dense_layers else None
        wide = preset.shared_hidden if self.experts is not None else 4 * hidden
        self.dense = FeedForward(hidden, wide) if wide else None

    def forward(self, x):
        batch, length, hidden = x.shape
        qkv = self.qkv(rms_norm(x, self.attention_norm)).view(batch, length, 3, self.heads, hidden // self.heads)
        mixed = attention(*qkv.permute(2, 0, 3, 1, 4)).transpose(1, 2).reshape(batch, length, hidden)
        x = x + self.out(mixed)
        normed = rms_norm(x, self.expert_norm)
        if self.dense is not None:
            x = x + self.dense(normed)
        if self.experts is not None:
            x = x + self.experts(normed.reshape(batch * length, hidden)).view(batch, length, hidden)
        return x


class Model(nn.Module):
    def __init__(self, preset, vocabulary):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, preset.hidden)
        self.place = nn.Embedding(preset.sequence, preset.hidden)
        self.blocks = nn.ModuleList(Block(preset, layer) for layer in range(preset.layers))
        self.norm = nn.Parameter(torch.ones(preset.hidden))
        nn.init.normal_(self.embedding.weight, std=0.02)
        nn.init.normal_(self.place.weight, std=0.02)

    def forward(self, tokens):
        x = self.embedding(tokens) + self.place.weight[:tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return F.linear(rms_norm(x, self.norm), self.embedding.weight)

    def experts(self):
        return [block.experts for block in self.blocks if block.experts is not None]


def narrow(device):
    """bf16 arithmetic on a GPU, as it is elsewhere."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def train(preset, vocabulary, data, seconds, device):
    torch.manual_seed(0)
    model = Model(preset, vocabulary).to(device)
    fused = {"fused": True} if device.type == "cuda" else {}
    optimizer = torch.optim.AdamW(model.parameters(), lr=preset.learning_rate, betas=(0.9, 0.95), weight_decay=0.05,
                                  **fused)
    curve, step, begun = [], 0, time.time()
    while (spent := time.time() - begun) < seconds:
        cosine = max(0.05, 0.5 * (1 + math.cos(math.pi * spent / seconds)))
        for group in optimizer.param_groups:
            group["lr"] = preset.learning_rate * min(1, (step + 1) / 200) * cosine
        start = torch.randint(0, data.numel() - preset.sequence - 1, (preset.batch,), device=device)
        window = data[start[:, None] + torch.arange(preset.sequence + 1, device=device)]
        with narrow(device):
            logits = model(window[:, :-1])
        loss = F.cross_entropy(logits.float().flatten(0, 1), window[:, 1:].flatten())
        balance = sum(experts.balance for experts in model.experts()) / len(model.experts())
        optimizer.zero_grad(set_to_none=True)
        (loss + preset.balance_loss * balance).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 100 == 0:
            curve.append((step, round(float(loss), 4)))
            note(f"step {step}: loss {float(loss):.3f}, {spent:.0f} s")
        step += 1
    return model, curve, step


def documents_to_record(held_out, encode, length, tokens_max):
    """(domain, tokens) of whole windows, by turns from each domain, so that any stretch mixes them."""
    queues = {}
    for domain, text in held_out:
        queues.setdefault(domain, []).append(text)
    chosen = []
    while queues and len(chosen) * length < tokens_max:
        for domain in sorted(queues):
            if len(chosen) * length >= tokens_max:
                break
            tokens = encode([queues[domain].pop(0)])[0][:length]
            if not queues[domain]:
                del queues[domain]
            if len(tokens) == length:
                chosen.append((domain, tokens))
    return chosen


def record(model, preset, documents, scored_documents, device):
    """Arrays of the trace, arrays of the trace with every expert's score, and the mean loss."""
    model.eval()
    for experts in model.experts():
        experts.record = True
    scored_length = min(preset.sequence, SCORED_TOKENS_MAX)
    ids, gate, all_ids, all_scores, losses = [], [], [], [], []
    with torch.no_grad():
        for number, (_, tokens) in enumerate(documents):
            window = torch.from_numpy(tokens).long().to(device)[None]
            with narrow(device):
                logits = model(window)
            losses.append(float(F.cross_entropy(logits[0, :-1].float(), window[0, 1:])))
            recorded = [experts.recorded for experts in model.experts()]
            ids.append(torch.stack([r[0] for r in recorded], 1).cpu().numpy())
            gate.append(torch.stack([r[1] for r in recorded], 1).float().cpu().numpy())
            if number < scored_documents:
                scores, order = torch.stack([r[2] for r in recorded], 1).sort(dim=-1, descending=True, stable=True)
                all_ids.append(order[:scored_length].cpu().numpy())
                all_scores.append(scores[:scored_length].float().cpu().numpy())

    def columns(count, length):
        part = documents[:count]
        return {"token": np.concatenate([tokens[:length] for _, tokens in part]),
                "request": np.repeat(np.arange(len(part)), length),
                "position": np.tile(np.arange(length), len(part)),
                "domain": np.repeat([domain for domain, _ in part], length)}

    trace = {"ids": np.concatenate(ids), "gate": np.concatenate(gate), **columns(len(documents), preset.sequence)}
    scores = {"ids": np.concatenate(all_ids), "gate": np.concatenate(all_scores), **columns(len(all_ids), scored_length)}
    return trace, scores, float(np.mean(losses))


def run_preset(name, domains, tokenizer, data, held_out, arguments, device):
    preset = PRESETS[name]
    note(f"{name}: {preset}")
    model, curve, steps = train(preset, tokenizer.size, data, arguments.seconds, device)
    documents = documents_to_record(held_out, tokenizer.encode, preset.sequence, arguments.tokens)
    scored_length = min(preset.sequence, SCORED_TOKENS_MAX)
    scored = arguments.scored_values // ((preset.layers - preset.dense_layers) * preset.experts * scored_length)
    trace, scores, loss = record(model, preset, documents, max(1, scored), device)

    parameters = sum(p.numel() for p in model.parameters())
    seen = steps * preset.batch * preset.sequence
    model_text = (f"{name}: {parameters / 1e6:.0f} M parameters, hidden {preset.hidden}, {preset.gate} gate, trained for "
                  f"{seen / 1e6:.0f} M tokens, validation loss {loss:.2f}")
    about = {"experts": preset.experts, "domains": domains, "model": model_text,
             "source": "unseen text of Debian packages", "recorded": "PyTorch, scripts/capture/train_moe.py",
             "layer_numbers": list(range(preset.dense_layers, preset.layers))}
    out = pathlib.Path(arguments.out)
    suffix = "." + arguments.format
    write_trace(out / (name + "-scores" + suffix), scores,
                {**about, "recorded": about["recorded"] + "; the scores of all experts, by which top-k are chosen"})
    write_trace(out / (name + suffix), trace, about)
    load = [np.bincount(trace["ids"][:, layer].reshape(-1), minlength=preset.experts).tolist()
            for layer in range(trace["ids"].shape[1])]
    report = {**about, **dataclasses.asdict(preset), "parameters": parameters, "steps": steps, "trained_tokens": seen,
              "corpus_tokens": int(data.numel()), "validation_loss": loss, "trace_tokens": len(trace["ids"]),
              "scored_tokens": len(scores["ids"]), "curve": curve, "load": load,
              "device": torch.cuda.get_device_name() if device.type == "cuda" else "CPU", "torch": torch.__version__}
    report["experts"] = preset.experts  # a number here, as readers of the .npz expect
    (out / (name + ".json")).write_text(json.dumps(report) + "\n")
    hottest = [round(max(row) * preset.experts / sum(row), 2) for row in load]
    note(f"{model_text}; hottest expert over mean in each layer {hottest}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus")
    parser.add_argument("--out", required=True)
    parser.add_argument("--preset", default="moe64k8,moe128k6", help=f"of {', '.join(PRESETS)}; several with commas")
    parser.add_argument("--seconds", type=float, default=200, help="of training, for each preset")
    parser.add_argument("--tokens", type=int, default=40_960, help="to record, at most")
    parser.add_argument("--scored-values", type=int, default=5_000_000, help="scores in <preset>-scores, about")
    parser.add_argument("--format", choices=("h5", "npz"), default=FORMAT, help="npz where h5py is missing")
    parser.add_argument("--cpu", action="store_true", help="for a try; no GPU is asked for")
    arguments = parser.parse_args()
    names = arguments.preset.split(",")
    if unknown := [name for name in names if name not in PRESETS]:
        parser.error(f"no such preset: {', '.join(unknown)}; there are {', '.join(PRESETS)}")
    if not arguments.cpu and not torch.cuda.is_available():
        parser.error("no CUDA GPU here; --cpu does without, for a try")
    device = torch.device("cpu" if arguments.cpu else "cuda")
    pathlib.Path(arguments.out).mkdir(parents=True, exist_ok=True)

    begun = time.time()
    domains, training, held_out = read_corpus(arguments.corpus)
    order = np.random.default_rng(0).permutation(len(training))
    training = [training[i] for i in order]
    tokenizers = {}
    for name in names:
        size = PRESETS[name].vocabulary
        if size not in tokenizers:
            tokenizer = make_tokenizer(training, size)
            tokens = np.concatenate(tokenizer.encode([text for _, text in training]))
            tokenizers[size] = (tokenizer, torch.from_numpy(tokens).long().to(device))
            note(f"{len(training)} pieces of {', '.join(domains)}: {len(tokens) / 1e6:.1f} M tokens; {len(held_out)} "
                 f"held out; {time.time() - begun:.0f} s")
        run_preset(name, domains, *tokenizers[size], held_out, arguments, device)
        note(f"{name} done after {time.time() - begun:.0f} s")


if __name__ == "__main__":
    main()
