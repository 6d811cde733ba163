# make run    set up, run the workflow on CONFIG, print the table
# make test   set up, run the tests
# The rest: see `make help`.

CONFIG ?=
RESULTS ?=
# The build of PyTorch: cpu or cuda (5 GB); without it, the one that the package index gives.
TORCH ?=
VENV ?= .venv
# How many files of garbage `make test-fuzz` makes.
CASES ?= 20000
BIN := $(VENV)/bin
# The first Python that will do.
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3 python; do \
	$$name envs/set_up.py --suits 2>/dev/null && echo $$name && break; done)
# Without CONFIG, that is config/config.yaml; without RESULTS, the folder that the configuration says.
INTO := $(if $(RESULTS),--results "$(RESULTS)")
GIVEN := $(if $(CONFIG),"$(CONFIG)") $(INTO)
# A Slurm for tests sees no network, and ends with the command that began it, however that ends.
ISOLATED := unshare --net --mount --pid --uts --fork --mount-proc --kill-child
INSTALLED := $(VENV)/.installed
INSTALLED_FOR_TESTS := $(VENV)/.installed-for-tests
INSTALLED_FOR_DOCS := $(VENV)/.installed-for-docs
PINNED := pyproject.toml envs/constraints.txt envs/set_up.py
SET_UP = test "$(PYTHON)" || { echo "found no Python 3.11, 3.12 or 3.13; install one, or name it: make PYTHON=…" >&2; exit 1; }; \
	$(PYTHON) envs/set_up.py "$(VENV)" --torch "$(TORCH)"

.PHONY: help set-up run check dry-run resume figures workflow-report screenshot recording test test-long test-slow test-browser test-faults test-faults-all test-pythons test-fuzz test-gpu test-pretrained test-meanshift test-processors test-cluster test-cluster-all lint format bench bench-run bench-gpu bench-cluster results-page ptgrm-page docs tutorials package licences citation config-docs environments clean

# Two tests at a time, with one thread each; tests/conftest.py keeps together those that share something. Numba would
# raise the number of PyTorch's threads, too, which burn ten times the processor time where they wait for a busy core.
ONE_THREAD := OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 OMP_WAIT_POLICY=passive
PYTEST := $(ONE_THREAD) $(BIN)/pytest -n 2

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-18s%s\n", $$1, $$2}' Makefile

set-up: $(INSTALLED_FOR_TESTS)  ## install what the workflow and its tests need, in .venv

run: $(INSTALLED)  ## run the workflow on CONFIG=config/config.yaml, into RESULTS=results
	@"$(BIN)/ensir" run $(GIVEN)

check: $(INSTALLED)  ## check CONFIG and the files that it names: all mistakes, or what was found
	@"$(BIN)/ensir" check "$(or $(CONFIG),config/config.yaml)" $(INTO)

dry-run: $(INSTALLED)  ## list what `make run` would do, and why
	@"$(BIN)/ensir" plan $(GIVEN)

resume: $(INSTALLED)  ## after a kill: remove the stale lock, redo what was unfinished
	@"$(BIN)/ensir" resume $(GIVEN)

figures: $(INSTALLED)  ## draw the figures of a paper: figures/ of the results (SVG, PDF, PNG, CSV)
	@"$(BIN)/ensir" run $(GIVEN) -- figures

workflow-report: figures  ## Snakemake's own report, with the figures: results/workflow-report.html
	@"$(BIN)/ensir" run $(GIVEN) -- --report "$(or $(RESULTS),results)/workflow-report.html" -- all figures

screenshot: $(INSTALLED_FOR_TESTS)  ## photograph results/report.html for README.md and docs; needs chromium and chromium-driver
	$(BIN)/python docs/screenshot.py

recording: $(INSTALLED_FOR_TESTS)  ## record the default run on a terminal for docs/compare.md: docs/run.svg
	$(BIN)/python docs/record.py docs/run.svg $(BIN)/ensir run

test: $(INSTALLED_FOR_TESTS)  ## run the tests (under 6 minutes)
	$(PYTEST) -m "not cluster and not cluster_all and not slow and not faults and not faults_all and not pretrained and not browser and not meanshift and not processors"

test-long: $(INSTALLED_FOR_TESTS)  ## test-slow, -faults, -browser, -pretrained and -meanshift in one, which share whole runs
	$(PYTEST) -rs -m "(slow or faults or browser or pretrained or meanshift) and not cluster and not cluster_all and not faults_all"

test-slow: $(INSTALLED_FOR_TESTS)  ## more whole runs (minutes)
	$(PYTEST) -m slow

test-browser: $(INSTALLED_FOR_TESTS)  ## click through the pages in Chromium (needs chromium and chromium-driver)
	$(BIN)/pytest -rs -m browser

test-faults: $(INSTALLED_FOR_TESTS)  ## kill jobs, and Snakemake with them, in every stage
	$(PYTEST) -m faults

test-faults-all: $(INSTALLED_FOR_TESTS)  ## the same at every call that touches the disk, of every stage (half an hour)
	$(PYTEST) -m "faults or faults_all"

test-pythons: $(INSTALLED)  ## the default run from the wheel, in an empty environment for each Python that works (10 GB)
	$(BIN)/python tests/pythons.py 3.11 3.12 3.13

test-fuzz: $(INSTALLED_FOR_TESTS)  ## feed garbage to everything that reads files: CASES=20000
	$(BIN)/python tests/fuzz/fuzz.py $(CASES)

test-gpu: $(INSTALLED_FOR_TESTS)  ## the tests that need a CUDA GPU; without one they are skipped
	$(BIN)/pytest -rs tests/gpu tests/workflow/test_run_on_cuda.py

test-pretrained: $(INSTALLED_FOR_TESTS)  ## run published networks on whole datasets (minutes)
	$(BIN)/pytest -m pretrained

test-meanshift: $(INSTALLED_FOR_TESTS)  ## restore with the published denoising autoencoders, beside known traces (minutes)
	$(BIN)/pytest -m meanshift

test-processors: $(INSTALLED_FOR_TESTS)  ## compare with libraries and compilers made for many other processors (minutes)
	$(BIN)/pytest -m processors

test-cluster: $(INSTALLED_FOR_TESTS)  ## run the workflow on a Slurm of two nodes, and kill them (needs root and the packages of Slurm)
	$(ISOLATED) $(BIN)/pytest -m cluster

test-cluster-all: $(INSTALLED_FOR_TESTS)  ## the same, and all of the default run there (ten minutes)
	$(ISOLATED) $(BIN)/pytest -m "cluster or cluster_all"

lint: $(INSTALLED_FOR_TESTS)  ## check style, types, who imports whom and the workflow
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/snakemake --workflow-profile workflow/profiles/local --lint

format: $(INSTALLED_FOR_TESTS)  ## format Python and Snakemake files
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

bench: $(INSTALLED_FOR_TESTS)  ## measure speeds, beside what they are compared with
	$(BIN)/python tests/bench/bench.py
	$(BIN)/python tests/bench/sources.py
	$(BIN)/python tests/bench/results.py
	$(BIN)/python tests/bench/deploying.py

bench-run: $(INSTALLED_FOR_TESTS)  ## measure a whole run on frames of ENSIR_TEST_DATA, beside a plain script (ten minutes)
	$(BIN)/python tests/bench/run.py

bench-gpu: $(INSTALLED_FOR_TESTS)  ## measure fusing on a CUDA GPU, beside a copy
	$(BIN)/python tests/bench/bench_gpu.py

bench-cluster: $(INSTALLED_FOR_TESTS)  ## measure what the workflow costs beside the work, here and under Slurm (needs root)
	$(ISOLATED) $(BIN)/python tests/bench/orchestration.py

results-page: $(INSTALLED)  ## run config/results.yaml on ENSIR_TEST_DATA, fill the tables of docs/results.md
	$(MAKE) run CONFIG=config/results.yaml
	$(BIN)/python docs/fill_results.py

ptgrm-page: $(INSTALLED)  ## run config/ptgrm.yaml on ENSIR_TEST_DATA (an hour), fill the table of docs/ptgrm.md
	$(MAKE) run CONFIG=config/ptgrm.yaml
	$(BIN)/python docs/fill_ptgrm.py

docs: $(INSTALLED_FOR_DOCS)  ## build the documentation as a site: site/index.html; any warning fails
	NO_MKDOCS_2_WARNING=1 $(VENV)/docs/bin/python -m mkdocs build --strict

tutorials: $(INSTALLED_FOR_DOCS)  ## run the tutorials as notebooks, and keep what they print and draw
	$(VENV)/docs/bin/python docs/tutorials/run.py

package: $(INSTALLED_FOR_TESTS)  ## make the wheel and the source distribution: dist/
	$(BIN)/python -m build --no-isolation

licences: $(INSTALLED_FOR_DOCS)  ## list the licences of what is installed with the package: docs/reference/licences.md
	$(VENV)/docs/bin/python docs/site/licences.py

citation: $(INSTALLED_FOR_DOCS)  ## check CITATION.cff
	$(VENV)/docs/bin/cffconvert --validate --infile CITATION.cff

config-docs: $(INSTALLED)  ## generate config/schema.json and the tables of config/README.md
	$(BIN)/python -m ensir.config.reference

environments: $(INSTALLED)  ## generate envs/cpu.yaml and envs/gpu.yaml from envs/constraints.txt
	$(BIN)/python envs/generate.py

clean:  ## remove results (not the environment)
	rm -rf results .snakemake

$(INSTALLED): $(PINNED)
	@$(SET_UP)
	@touch $@

$(INSTALLED_FOR_TESTS): $(INSTALLED)
	@$(SET_UP) --tests
	@touch $@

$(INSTALLED_FOR_DOCS): $(INSTALLED) envs/docs.txt
	@$(SET_UP) --docs
	@touch $@
