"""Shapes of models, and which of them a suite measures."""

# name: (hidden, expert intermediate, experts, top-k, heads, KV heads, head size, layers that a step measures).
# Shapes as the models' public configurations give them; shared experts and MLA are left out, as the format has neither.
MODELS = {
    "mixtral-8x7b": (4096, 14336, 8, 2, 32, 8, 128, 6),
    "olmoe-1b-7b": (2048, 1024, 64, 8, 16, 16, 128, 16),
    "qwen3-30b-a3b": (2048, 768, 128, 8, 32, 4, 128, 12),
    "deepseek-v2-lite": (2048, 1408, 64, 6, 16, 16, 128, 12),
    "qwen2-57b-a14b": (3584, 2560, 64, 8, 28, 4, 128, 7),
    "phi-3.5-moe": (4096, 6400, 16, 2, 32, 8, 128, 8),
    "granite-3-moe-3b": (1536, 512, 40, 8, 24, 8, 64, 16),
    "gpt-oss-20b": (2880, 2880, 32, 4, 64, 8, 64, 8),
    "llama-4-scout": (5120, 8192, 16, 1, 40, 8, 128, 4),
    "qwen3-235b-a22b": (4096, 1536, 128, 8, 64, 4, 128, 4),
    "dbrx": (6144, 10752, 16, 4, 48, 8, 128, 3),
    "mixtral-8x22b": (6144, 16384, 8, 2, 48, 8, 128, 4),
    "glm-4.5-air": (4096, 1408, 128, 8, 96, 8, 128, 4),
    "moonlight-16b": (2048, 1408, 64, 6, 16, 16, 128, 12),
    "ernie-4.5-21b": (2560, 1536, 64, 6, 20, 4, 128, 12),
    "gpt-oss-120b": (2880, 2880, 128, 4, 64, 8, 64, 4),
    "grok-1": (6144, 32768, 8, 2, 48, 8, 128, 2),
    "deepseek-v3-slice": (7168, 2048, 256, 8, 128, 128, 128, 1),
}
STEP_MODELS = ["olmoe-1b-7b", "mixtral-8x7b", "qwen3-30b-a3b", "deepseek-v2-lite", "qwen2-57b-a14b", "phi-3.5-moe",
               "granite-3-moe-3b", "gpt-oss-20b", "ernie-4.5-21b", "llama-4-scout"]
LAYER_MODELS = ["mixtral-8x7b", "olmoe-1b-7b", "qwen3-30b-a3b", "deepseek-v2-lite", "qwen2-57b-a14b", "phi-3.5-moe",
                "granite-3-moe-3b", "gpt-oss-20b", "llama-4-scout", "qwen3-235b-a22b", "dbrx", "mixtral-8x22b",
                "ernie-4.5-21b", "glm-4.5-air", "gpt-oss-120b", "grok-1", "deepseek-v3-slice"]
# The models that files of other machines hold: two sizes are enough to see whether this machine agrees.
REFERENCE_MODELS = ("olmoe-1b-7b", "mixtral-8x7b")
OFFLOAD_MODELS = ["qwen3-30b-a3b", "olmoe-1b-7b", "phi-3.5-moe", "mixtral-8x7b"]
