"""Where the artifacts lie that several rules read, and which models and settings of a study they are of."""

from headatlas.workflow.resources import model_sizes

MODEL = {  # weights and configuration of the model that a job's wildcard names
    "model": "<results>/models/{model}/model.safetensors",
    "config": "<results>/models/{model}/config.json",
}


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

    @property
    def wildcards_tokenizer(self):
        """The same of the model that a job's wildcard names."""
        return {
            "tokenizer": lambda wildcards: self.tokenizer_of(wildcards.model)["tokenizer"],
            "tokenizer_config": lambda wildcards: self.tokenizer_of(wildcards.model)["tokenizer_config"],
        }

    def patterns_of(self, model):
        """The table of a model's attention patterns, in a list that is empty where the configuration keeps none."""
        kept = self.config["models"][model]["analysis"]["patterns"] != "none"
        return [f"<results>/attention/{model}/patterns.parquet"] * kept

    def summarised(self):
        """Models of the summary: runs of a sweep are many, and its own findings speak of them."""
        runs = self.config["studies"].get("circuits", {}).get("models", [])
        return [model for model in self.models_of("all") if model not in runs]

    def of_heads(self):
        """All tables that tell of the heads of the studies among `targets`, by what they hold."""
        models = self.models_of("all")
        knocked_out = self.models_of("phrenology") if "phrenology" in self.config["targets"] else []
        trained = [model for model in self.summarised() if model in self.toys]
        tokenizers = [self.tokenizer_of(model) for model in models]
        return {
            "patterns": [file for model in models for file in self.patterns_of(model)],
            "windows": sorted({self.windows_of(model, "analysis") for model in models}),
            "tokenizer": sorted({files["tokenizer"] for files in tokenizers}),
            "tokenizer_config": sorted({files["tokenizer_config"] for files in tokenizers}),
            "scores": [f"<results>/scores/{model}.parquet" for model in models],
            "circuits": [f"<results>/token_circuits/{model}.parquet" for model in models],
            "losses": [f"<results>/knockouts/{model}/losses.parquet" for model in knocked_out],
            "training": [
                f"<results>/models/{m}/{table}.parquet" for m in trained for table in ("training", "baselines")
            ],
        }

    def pieces(self, most):
        """Into how many pieces the heads of each model are split: one for each, as far as their number is known."""
        sizes = {model: model_sizes.model(self.config, model) for model in self.models_of("all")}
        return {model: min(most, one.all_heads) if one.trained else most for model, one in sizes.items()}

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
