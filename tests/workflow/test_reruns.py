"""Reruns follow content: what changes runs, and nothing else does."""

import os
import shutil
from pathlib import Path

import yaml

STUDY = {"measure_distances", "project_heads", "decompose_patterns", "project_first_token", "fit_autoencoders"}


def rules(jobs):
    return {rule for rule, _ in jobs}


def reconfigure(checkout, change):
    """Change the tiny configuration of a checkout in place."""
    path = checkout.folder / "tests" / "workflow" / "tiny.yaml"
    config = yaml.safe_load(path.read_text())
    change(config)
    path.write_text(yaml.safe_dump(config))


def insert(path, line):
    """Put a line of code below a module's docstring."""
    text = path.read_text()
    end = text.index('"""', 3) + 3
    path.write_text(f"{text[:end]}\n{line}\n{text[end:]}")


def contents(folder):
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not {"logs", "benchmarks", "records"} & set(file.relative_to(folder).parts)
    }


def test_first_run_computes_every_job_of_the_dry_run(finished):
    assert finished.first.done.computed == set(finished.first.jobs)
    assert len(finished.first.jobs) > 25


def test_nothing_to_do_after_a_run_a_touch_and_a_move(checkout):
    for file in checkout.folder.rglob("*"):
        if file.is_file() and ".snakemake" not in file.parts and ".cache" not in file.parts:
            os.utime(file)
    assert checkout.snakemake("-n").jobs == {}


def test_comments_and_docstrings_rerun_nothing(checkout):
    insert(checkout.folder / "scripts" / "headatlas" / "base" / "tables.py", "# a comment")
    script = checkout.folder / "scripts" / "train_model.py"
    script.write_text(script.read_text().replace('"""', '"""Otherwise worded: ', 1))
    assert checkout.snakemake("-n").jobs == {}


def test_edited_module_reruns_the_steps_that_import_it_alone(checkout):
    insert(checkout.folder / "scripts" / "headatlas" / "studies" / "phrenology" / "head_distances.py", "EDITED = True")
    done = checkout.snakemake().done
    projected = {"project_heads", "decompose_patterns", "project_first_token", "place_heads"}  # they import projections
    assert rules(done.computed) == {"measure_distances", *projected}
    assert {"draw_head_distances", "draw_projections", "draw_first_token"} <= rules(done.restored)


def test_one_models_seed_reruns_its_chain_alone(checkout):
    def other_seed(config):
        config["models"]["tiny-b"]["seeds"] = [5, 7]

    reconfigure(checkout, other_seed)
    jobs = set(checkout.snakemake("-n").jobs)
    assert ("train_model", "model=tiny-b") in jobs
    assert ("sample_windows", "model=tiny-b, use=train") in jobs
    assert rules(jobs) >= STUDY
    assert not {job for job in jobs if "tiny-a" in job[1] or "use=analysis" in job[1] or "use=evaluation" in job[1]}
    assert not {"fetch_corpus", "build_tokenizer"} & rules(jobs)


def test_a_step_that_comes_out_equal_stops_the_wave(checkout):
    insert(checkout.folder / "scripts" / "train_model.py", "EDITED = True")
    before = (checkout.results / "models" / "tiny-a" / "model.safetensors").read_bytes()
    done = checkout.snakemake().done
    assert rules(done.computed) == {"train_model"}
    assert {"extract_patterns", "score_heads"} <= rules(done.restored)
    assert (checkout.results / "models" / "tiny-a" / "model.safetensors").read_bytes() == before


def test_deleted_results_come_back_from_the_store(checkout):
    before = contents(checkout.results)
    shutil.rmtree(checkout.results)
    shutil.rmtree(checkout.folder / ".snakemake")
    done = checkout.snakemake().done
    assert done.computed == set()
    assert len(done.restored) > 25
    assert contents(checkout.results) == before


def test_a_swap_of_two_values_is_noticed(checkout):
    def swap(config):
        for model in ("tiny-a", "tiny-b"):
            config["models"][model]["scores"] = {"sequences": 3, "seed": 5}

    reconfigure(checkout, swap)
    jobs = set(checkout.snakemake("-n").jobs)
    assert ("score_heads", "model=tiny-a") in jobs
    assert "train_model" not in rules(jobs)


def test_going_back_to_an_earlier_configuration_restores_it(checkout):
    def other(config):
        config["studies"]["circuits"]["generation"]["seed"] = 1

    def back(config):
        config["studies"]["circuits"]["generation"]["seed"] = 0

    reconfigure(checkout, other)
    assert "generate_text" in rules(checkout.snakemake().done.computed)
    reconfigure(checkout, back)
    assert checkout.snakemake().done.computed == set()


def test_a_damaged_entry_of_the_store_is_found_and_computed_anew(checkout):
    model = checkout.results / "models" / "tiny-a" / "model.safetensors"
    whole = model.read_bytes()
    entry = next(file for file in (checkout.folder / ".cache").rglob("model") if file.read_bytes() == whole)
    entry.chmod(0o644)
    entry.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    model.unlink()
    ran = checkout.snakemake("results/tiny/models/tiny-a/model.safetensors")
    log = Path(ran.jobs["train_model", "model=tiny-a"]).read_text()
    assert "damaged" in log
    assert str(Path(entry.parts[-2])) in log
    assert rules(ran.done.computed) == {"train_model"}
    assert model.read_bytes() == whole


def test_cost_follows_what_is_asked(checkout):
    """Of a figure whose distant sources are gone nothing is made; where it is gone itself, it alone is."""
    figure = "results/tiny/figures/phrenology/corrected/fig07_head_distances.png"
    for folder in ("corpora", "tokenizers", "windows", "attention"):
        shutil.rmtree(checkout.results / folder)
    assert checkout.snakemake(figure, "-n").jobs == {}
    (checkout.folder / figure).unlink()
    done = checkout.snakemake(figure).done
    assert done.computed == set()
    assert rules(done.restored) == {"draw_head_distances"}
    assert not (checkout.results / "attention").exists()


def test_from_an_empty_folder_a_figure_restores_its_own_sources_alone(checkout):
    shutil.rmtree(checkout.results)
    ran = checkout.snakemake("results/tiny/figures/phrenology/corrected/fig07_head_distances.png")
    assert ran.done.computed == set()
    of_others = ("fit_", "project_", "measure_knockouts", "transplant_", "generate_", "score_", "extract_queries_keys")
    assert rules(ran.done.restored) >= {"extract_patterns", "train_model", "draw_head_distances"}
    assert not [rule for rule in rules(ran.done.restored) if rule.startswith(of_others)]
    assert not [job for job in ran.jobs if "circuits" in job[1]]
