"""Which cases a suite has, where they are of models."""
import gc


def in_one_model(bench, model, sizes, build, record, describe):
    """Cases that share the weights of a model: the first builds them, over those of the model before."""
    made = {}

    def case(size):
        if "it" not in made:
            gc.collect()
            bench.arena.reset()
            made["it"] = build(bench, model)
        return record(bench, model, made["it"], *size)
    return [(f"{model}, {describe(size)}", lambda size=size: case(size)) for size in sizes]


def chosen_models(options, usual):
    return options.models or usual
