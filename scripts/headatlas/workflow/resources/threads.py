"""Threads of the steps that run models under a completed configuration."""


def of_training(config, model):
    """A thread for two members: two that share one small member's products mostly wait for each other, and with a
    member each the quicker waits at every step."""
    return min(config["threads"], -(-len(config["models"][model]["seeds"]) // 2))


def of_passes(config, *models):
    """Threads that share a product: one where models are small, for they would mostly wait for each other."""
    given = [config["models"][model] for model in models]
    small = ["checkpoints" not in model and model["architecture"]["d_model"] <= 256 for model in given]
    return 1 if all(small) else config["threads"]
