"""Where the artifacts lie that several rules read, and which models and settings of a study they are of."""


class Artifacts:
    """Paths of a run's artifacts, in the grammar of `results/` that the Snakefile opens with.

    Parameters
    ----------
    config : dict
        A completed configuration.

    Paths begin with `<results>`, in whose place Snakemake puts the folder of results.
    """

    def __init__(self, config):
        self.config = config
        self.toys = [name for name, model in config["models"].items() if "checkpoints" not in model]
        self._windows = config["studies"].get("circuits", {}).get("windows", {})

    def models_of(self, study):
        """Models that a study compares, or those of all studies that a plain run builds."""
        studies = self.config["studies"]
        if study == "all":
            return sorted({model for target in self.config["targets"] for model in studies[target]["models"]})
        return studies[study]["models"]

    def of_models(self, study, path):
        """One file per model that a study compares, in the study's order."""
        return [path.replace("{model}", model) for model in self.models_of(study)]

    def windows_of(self, model, use):
        """Windows that a model is trained, judged or looked at on; runs of a sweep that read one text share theirs."""
        return f"<results>/windows/{self._windows.get(model, model)}/{use}.parquet"

    def prompts_of(self, study):
        """Windows on which a study compares its models: the first model's, since all share their content."""
        return self.windows_of(self.models_of(study)[0], "analysis")

    def judged(self, *models):
        """What those of the models that are trained here have learnt, and the baselines that they should beat."""
        of_toys = [model for model in models if model in self.toys]
        tables = [(f"{model}/training", f"{self._windows.get(model, model)}/baselines") for model in of_toys]
        return [f"<results>/models/{name}.parquet" for pair in tables for name in pair]

    def tokenizer_of(self, model):
        """The two files of a model's tokenizer; whoever loads the first finds the second beside it."""
        folder = f"<results>/tokenizers/{self.config['models'][model]['tokenizer']}"
        return {"tokenizer": f"{folder}/tokenizer.json", "tokenizer_config": f"{folder}/tokenizer_config.json"}

    def tokenizers_of(self, models):
        """The same of several models, in their order."""
        return {
            part: [self.tokenizer_of(model)[part] for model in models] for part in ("tokenizer", "tokenizer_config")
        }

    def study_settings(self, study, *names):
        """Settings of a study that a step depends on; one within a section is named with it: "knockouts.head"."""
        found = {}
        for name in names:
            *section, key = name.split(".")
            settings = self.config["studies"][study]
            found[key] = (settings[section[0]] if section else settings)[key]
        return found


def tables(folder, *names):
    """Tables of one folder of the results, each under its own name."""
    return {name: f"<results>/{folder}/{name}.parquet" for name in names}


def figures(study, names, protocols=("published", "corrected"), models=None):
    """Both files of each of a study's figures under each protocol, of each of the models if they are given."""
    names = names if models is None else [f"{model}/{name}" for model in models for name in names]
    return [
        f"<results>/figures/{study}/{protocol}/{name}.{kind}"
        for protocol in protocols
        for name in names
        for kind in ("png", "pdf")
    ]
