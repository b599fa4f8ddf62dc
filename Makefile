# Head Atlas. `make` sets everything up and runs the default; `make test` runs every check.
PYTHON ?= python3
SHELL := /bin/bash
export PATH := $(CURDIR)/.venv/bin:$(PATH)
PIP := .venv/bin/python -m pip --disable-pip-version-check

.PHONY: run plan report check test test-library test-studies test-plan test-runs test-others test-long test-models test-faults test-cluster test-largest lint docs bench challenge clean
.DEFAULT_GOAL := run

run: .venv/installed  ## the default target on the embedded default, then its summary
	snakemake
	@cat results/summary.md
	@echo "the atlas, a page to walk through the heads in, is results/atlas.html"

plan: .venv/installed  ## how many jobs of each kind would run, and why; CONFIG=mine.yaml for a configuration of your own
	@snakemake -n $(if $(CONFIG),--configfile $(CONFIG))

report: .venv/installed  ## the default target, then all it made in one page that needs no other file and no network
	snakemake --report results/report.html --report-after-run
	@echo "the report is results/report.html"

check: .venv/installed  ## lint, the unit tests, and a dry run of the tiny study, two of them at a time
	$(MAKE) --jobs 2 --keep-going --output-sync=target test-library test-studies lint test-plan

test: .venv/installed lint  ## lint; then, side by side, the unit tests and real runs of the workflow
	$(MAKE) --jobs 4 --keep-going --output-sync=target test-runs test-others test-library test-studies

test-long: .venv/installed  ## what takes longest: faults, a SLURM cluster, families with induction heads, real weights, every type of model
	$(MAKE) --jobs 4 --keep-going --output-sync=target test-models test-faults test-cluster test-largest

# Groups that run side by side share the machine's cores: threads of small products would mostly wait for each other
test-library test-studies test-largest: export OMP_NUM_THREADS = 1

# The unit tests in two halves that take about as long as one another
STUDIES := tests/unit/models tests/unit/studies

test-library: .venv/installed
	pytest --durations=10 tests/unit $(addprefix --ignore ,$(STUDIES))

test-studies: .venv/installed
	pytest --durations=10 $(STUDIES)

test-plan: .venv/installed
	snakemake -n --quiet rules --configfile tests/workflow/tiny.yaml

# Tests whose runs share nothing with the tiny run that the rest of tests/workflow looks at
OTHERS := $(addprefix tests/workflow/test_,documented_examples.py elsewhere.py extending.py planning.py)
MODELS := $(addprefix tests/workflow/test_,induction_run.py pretrained_run.py seeds_run.py)
FAULTS := tests/workflow/test_faults.py

test-runs: .venv/installed
	pytest --durations=10 tests/workflow $(addprefix --ignore ,$(OTHERS) $(MODELS) $(FAULTS))

test-others: .venv/installed
	pytest --durations=10 $(OTHERS)

test-models: .venv/installed
	pytest --durations=10 $(MODELS)

test-faults: .venv/installed
	pytest --durations=10 $(FAULTS)

test-cluster: .venv/installed  ## a real SLURM, whose jobs wait more than they compute
	pytest --durations=10 tests/cluster

test-largest: .venv/installed  ## every type of pretrained model against itself, a store of 100,000 results, a run killed at every rule
	pytest --durations=10 tests/long

lint: .venv/installed
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile rules
	snakemake --lint

docs: .venv/installed  ## the pages that are made from the code: every key of the configuration, every table
	PYTHONPATH=scripts python -m headatlas.workflow.configuration_page
	PYTHONPATH=scripts python -m headatlas.atlas.described_tables

bench: .venv-bench/installed .venv/installed  ## side by side with the peers, in an environment of their own
	.venv-bench/bin/python benchmarks/run.py

.venv/installed: envs/requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Head Atlas needs Python 3.11 or newer, this is " + sys.version)'
	$(PYTHON) -m venv .venv
	$(PIP) install --quiet --requirement envs/requirements.lock
	PYTHONPATH=scripts .venv/bin/python -W ignore -m headatlas.base.umap_cache
	@touch $@

.venv-bench/installed: envs/bench.lock
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip --disable-pip-version-check install --quiet --requirement envs/bench.lock
	@touch $@

challenge: .venv/installed  ## steps of the results, drawn at random, computed anew with no store: are the bytes the same?
	PYTHONPATH=scripts python -m headatlas.jobs.challenge results --count 20

clean:  ## results, logs and Snakemake's notes; the store of finished results stays
	rm -rf results .snakemake
