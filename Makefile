# make install     create .venv once (a no-op afterwards)
# make quickstart  the study in miniature: oracle check, three rows, one page to look at
# make test        everything CI runs, fast checks first
# make help        all targets

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

# One thread a worker keeps two pools from fighting over two cores; the allocator settings stop glibc from handing
# freed tensors back to the system at every training step.
export OMP_NUM_THREADS ?= 1
export MALLOC_MMAP_THRESHOLD_ ?= 8589934592
export MALLOC_TRIM_THRESHOLD_ ?= 17179869184
export MALLOC_TOP_PAD_ ?= 268435456
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Two threads for the quickstart, which runs alone.
quickstart: export OMP_NUM_THREADS := 2

.PHONY: help install quickstart test types mutate fuzz format export execute readme docs docs-source bench clean
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## create .venv with the package and its development tools (once)

$(STAMP): settings.ini setup.py pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dearli needs Python 3.11 or newer: make install PYTHON=python3.11")'
	@# Debian splits ensurepip off; the system's own pip can then fill an environment made without it.
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv .venv >/dev/null 2>&1 || \
		{ $(PYTHON) -m venv --clear --without-pip .venv && $(PYTHON) -m pip -q --python $(BIN)/python install pip; } || \
		{ echo "$(PYTHON) cannot make a virtual environment; install its venv module (apt-get install python3-venv)"; exit 1; }
	@echo "Installing dearli and its requirements into .venv (once; a few minutes, most of them torch)"
	@$(BIN)/python -m pip install --quiet --no-compile -e '.[dev]' -c constraints.txt
	@$(BIN)/python -m pip check
	@touch $@

quickstart: install ## the study in miniature, with a report at the end
	$(BIN)/dearli quickstart

test: install ## all checks: clean, in sync, types, notebooks, wheel, docs, browser
	@DEARLI_TYPECHECK=1 $(BIN)/pytest -n 2 $(CHECKS)

types: install ## check the types of the method
	@$(BIN)/mypy

mutate: install ## plant faults one at a time; the notebooks must notice each (long)
	$(BIN)/python tools/mutate.py

fuzz: install ## change a thousand files of each kind at random; none may end a command (long)
	$(BIN)/python tests/fuzz.py --count 1000

format: install ## set notebooks and tools in the one dialect
	$(BIN)/ruff format nbs tools tests

export: install ## write dearli/ from the notebooks and clean them
	$(BIN)/nbdev_export
	$(BIN)/nbdev_clean --fname nbs

execute: install ## run the notebooks and store their outputs (NB=nbs/2-world/01_scenes.ipynb for one)
	$(BIN)/python tools/notebooks.py execute $(NB)

readme: install ## write README.md from nbs/index.ipynb
	$(BIN)/python tools/notebooks.py readme

docs-source: install ## processed notebooks in _proc/, ready for Quarto or smalldocs
	@$(BIN)/python tools/docs.py --source-only

docs: install ## the site in _docs/, without Quarto
	@$(BIN)/python tools/docs.py

bench: install ## time the parts of the small model
	$(BIN)/dearli bench parts

clean: ## remove everything that can be made again, except .venv
	rm -rf _proc _docs build dist *.egg-info .last_checked
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
	find . -name .ipynb_checkpoints -not -path './.venv/*' -prune -exec rm -rf {} +
