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

    from moe_model import Model, Preset
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
            curve.append((step, round(float(loss.detach()), 4)))
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
