#!/usr/bin/env python3
"""Tests of scripts/capture. What needs PyTorch or transformers is skipped, and said to be, where those are missing.

Weights are random: routing is compared with what the model itself says it chose, not with a known model's.
"""
import json
import lzma
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "scripts" / "capture"))

try:
    import numpy as np
except ImportError:
    print("skipped: numpy is missing")
    sys.exit(77)
import build_corpus
import trace_file

try:
    import torch
    HOOKS = int(torch.__version__.split(".")[0]) >= 2
except ImportError:
    torch, HOOKS = None, False
try:
    import transformers
except ImportError:
    transformers = None

SIZES = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4,
         "num_key_value_heads": 2, "vocab_size": 300, "max_position_embeddings": 256, "pad_token_id": 0}
FINE = {"moe_intermediate_size": 32, "shared_expert_intermediate_size": 32, "num_experts": 8, "num_experts_per_tok": 3}
LATENT = {"moe_intermediate_size": 32, "n_routed_experts": 16, "num_experts_per_tok": 3, "n_shared_experts": 1,
          "n_group": 4, "topk_group": 2, "first_k_dense_replace": 1, "q_lora_rank": 16, "kv_lora_rank": 16,
          "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 16, "num_key_value_heads": 4}
# name: (settings of its own, experts, top-k, layers with experts).
MODELS = {
    "mixtral": ({"num_local_experts": 8, "num_experts_per_tok": 2}, 8, 2, [0, 1, 2]),
    "olmoe": ({"num_experts": 8, "num_experts_per_tok": 3}, 8, 3, [0, 1, 2]),
    "qwen2_moe": (FINE, 8, 3, [0, 1, 2]),
    "qwen3_moe": ({**FINE, "head_dim": 16}, 8, 3, [0, 1, 2]),
    "gpt_oss": ({"num_local_experts": 8, "num_experts_per_tok": 2, "head_dim": 16}, 8, 2, [0, 1, 2]),
    "deepseek_v2": ({**LATENT, "topk_method": "group_limited_greedy"}, 16, 3, [1, 2]),
    "deepseek_v3": (LATENT, 16, 3, [1, 2]),
}


class Corpus(unittest.TestCase):
    def test_manual_pages_lose_their_requests_and_html_its_tags(self):
        with tempfile.TemporaryDirectory() as folder:
            page = pathlib.Path(folder, "man", "a.1")
            page.parent.mkdir()
            page.write_text('.\\" a comment\n.TH A 1\n.SH NAME\n\\fBname\\fP \\- text\n')
            self.assertEqual(build_corpus.plain_text(page), "NAME\nname - text")
            html = pathlib.Path(folder, "b.html")
            html.write_text("<p>one &amp; <b>two</b></p><script>no()</script>")
            self.assertEqual(" ".join(build_corpus.plain_text(html).split()), "one & two")

    def test_a_domain_stops_at_its_size_and_parts_documents_by_nul(self):
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder, "a.txt.xz")
            count, total = build_corpus.write_domain(out, ["é" * 600, "short", "b" * 5000], 3000, 10_000)
            documents = lzma.open(out).read().decode().split("\0")
            self.assertEqual((count, documents[0], documents[2]), (2, "é" * 600, ""))
            self.assertLessEqual(total, 3000)


class TraceFile(unittest.TestCase):
    def arrays(self):
        ids = np.array([[[1, 0], [2, 3]], [[3, 1], [0, 2]]])
        return {"ids": ids, "gate": np.full(ids.shape, 0.5), "request": np.array([0, 0])}

    def test_npz_says_its_experts_and_the_json_beside_it_its_domains(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "t.npz")
            trace_file.write_trace(path, self.arrays(), {"experts": 4, "domains": ["a"]})
            read = np.load(path)
            self.assertEqual(read["ids"].dtype, np.uint8)
            self.assertEqual(int(read["experts"]), 4)
            self.assertEqual(json.loads(path.with_suffix(".json").read_text())["domains"], ["a"])

    def test_wrong_arrays_are_refused(self):
        for name, values in {"ids": np.zeros((1, 1, 2), int), "gate": np.full((2, 2, 2), -1.0),
                             "request": np.zeros(3, int)}.items():
            with self.subTest(name), self.assertRaises(SystemExit):
                trace_file.write_trace("/nowhere/t.npz", {**self.arrays(), name: values}, {"experts": 4})


@unittest.skipUnless(torch, "PyTorch is missing")
class Training(unittest.TestCase):
    def test_a_tiny_model_trains_without_a_gpu_and_its_scores_hold_its_choices(self):
        import train_moe
        preset = train_moe.PRESETS["tiny"]
        torch.manual_seed(1)
        model = train_moe.Model(preset, 50)
        rng = np.random.default_rng(0)
        documents = [(0, rng.integers(0, 50, preset.sequence).astype(np.int32)) for _ in range(2)]
        trace, scores, _ = train_moe.record(model, preset, documents, 1, torch.device("cpu"))
        self.assertEqual(trace["ids"].shape, (2 * preset.sequence, preset.layers, preset.top_k))
        # The scores are of the first document alone; their best k are its choices, with the same weights.
        first = preset.sequence
        self.assertTrue((scores["ids"][:, :, :preset.top_k] == trace["ids"][:first]).all())
        self.assertTrue(np.allclose(scores["gate"].sum(2), 1, atol=1e-5))

    def test_a_biased_sigmoid_gate_evens_out_its_load(self):
        import moe_model
        import train_moe
        preset = train_moe.PRESETS["tiny-sigmoid"]
        torch.manual_seed(1)
        experts = moe_model.Experts(preset)
        rows = torch.randn(512, preset.hidden) + 2 * torch.randn(preset.hidden)

        def hottest():
            return int(torch.bincount(experts.choose(rows)[0].reshape(-1), minlength=preset.experts).max())

        before = hottest()
        for _ in range(300):
            experts(rows)
        self.assertLess(hottest(), 0.7 * before)


@unittest.skipUnless(transformers and HOOKS, "transformers, or PyTorch 2, is missing")
class Hooks(unittest.TestCase):
    def model(self, name):
        settings, *expected = MODELS[name]
        torch.manual_seed(0)
        config = transformers.AutoConfig.for_model(name, **{**SIZES, **settings})
        return transformers.AutoModelForCausalLM.from_config(config).eval(), *expected

    def test_every_model_gives_distinct_choices_by_falling_weight(self):
        from record_huggingface import RoutingRecorder
        for name in MODELS:
            with self.subTest(name), torch.no_grad():
                model, experts, top_k, layers = self.model(name)
                tokens = torch.randint(1, 300, (2, 17))
                with RoutingRecorder(model) as recorder:
                    model(tokens)
                arrays = recorder.arrays()
                self.assertEqual(recorder.numbers, layers)
                self.assertEqual(recorder.experts, experts)
                self.assertEqual(arrays["ids"].shape, (34, len(layers), top_k))
                self.assertTrue((arrays["token"] == tokens.reshape(-1).numpy()).all())
                self.assertTrue((np.diff(arrays["gate"], axis=2) <= 0).all())
                with tempfile.TemporaryDirectory() as folder:
                    recorder.write(pathlib.Path(folder, "t.npz"))  # refuses choices that are not distinct
                print(f"{name}: read from {', '.join(sorted(set(recorder.how.values())))}")

    def test_choices_are_those_of_the_models_own_router_logits(self):
        from record_huggingface import RoutingRecorder
        for name in ("mixtral", "olmoe", "qwen2_moe", "qwen3_moe"):
            with self.subTest(name), torch.no_grad():
                model, _, top_k, _ = self.model(name)
                with RoutingRecorder(model) as recorder:
                    out = model(torch.randint(1, 300, (2, 17)), output_router_logits=True)
                logits = torch.stack([layer.reshape(34, -1) for layer in out.router_logits], 1)
                self.assertTrue((logits.topk(top_k, -1)[1].numpy() == recorder.arrays()["ids"]).all())

    def test_generation_is_decode_and_padding_is_left_out(self):
        from record_huggingface import RoutingRecorder
        with torch.no_grad():
            model, *_ = self.model("mixtral")
            mask = torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]])
            with RoutingRecorder(model) as recorder:
                model.generate(torch.randint(1, 300, (2, 5)), attention_mask=mask, max_new_tokens=4, min_new_tokens=4,
                               do_sample=False)
                model(torch.randint(1, 300, (1, 6)))
            arrays = recorder.arrays()
            # Prompts of 3 and 5 tokens, 3 passes of one new token each (the fourth is never fed back), then a request of 6.
            for request, prompt, decode in ((0, 3, 3), (1, 5, 3), (2, 6, 0)):
                mine = arrays["request"] == request
                self.assertEqual(sorted(arrays["position"][mine]), list(range(prompt + decode)))
                self.assertEqual(int(arrays["phase"][mine].sum()), decode)
            self.assertTrue((np.diff(arrays["step"]) >= 0).all())


if __name__ == "__main__":
    for what, there in (("PyTorch", torch), ("PyTorch 2 and transformers", transformers and HOOKS)):
        if not there:
            print(f"skipped for want of {what}: the tests that need it")
    unittest.main()
