"""One file over another, record by record of both."""
import json
import pathlib
import statistics

IDENTITY = ("kind", "model", "phase", "layers", "tokens_per_rank", "tokens", "kv", "skew", "groups", "m_per_group", "m",
            "n", "k", "batch", "q", "heads", "kv_heads", "bytes", "bytes_per_rank", "bytes_out", "hit", "copy", "cpu",
            "threads")


def times_of(record):
    flat = {f"us.{key}": value for key, value in record["us"].items()} if isinstance(record.get("us"), dict) else {}
    flat.update({key: value for key, value in record.items()
                 if (key == "us" or key.endswith("_us")) and isinstance(value, (int, float))})
    return {key: value for key, value in flat.items() if "min" not in key}


def compare(path, other_path):
    """Prints this file over the other, for records that both hold, by kind and time: median, least and largest."""
    here, there = (json.loads(pathlib.Path(name).read_text(encoding="utf-8"))["records"] for name in (path, other_path))
    known = {tuple(str(record.get(key)) for key in IDENTITY): record for record in there}
    ratios = {}
    for record in here:
        other = known.get(tuple(str(record.get(key)) for key in IDENTITY))
        other_times = times_of(other) if other else {}
        for name, value in times_of(record).items():
            if other_times.get(name):
                ratios.setdefault((record["kind"], record.get("model", ""), name), []).append(value / other_times[name])
    for (kind, model, name), values in sorted(ratios.items()):
        print(f"{kind:20} {model:18} {name:14} n {len(values):3}  median {statistics.median(values):.3f}  "
              f"from {min(values):.3f} to {max(values):.3f}")
    if not ratios:
        print("the two files share no record")
