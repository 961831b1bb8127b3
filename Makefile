# Everything a fresh machine needs: Python 3.11 or newer and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: plane test format docs notebook bench torture paper figures check-paper clean

plane: $(VENV)/installed ## train the quickstart plane and draw it
	$(BIN)/superpos run quickstart

test: $(VENV)/installed-dev ## the whole gate: format, lint, types, rooms, tests, doctests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

format: $(VENV)/installed-dev ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/installed-docs ## build the documentation in docs/_build; a broken link is an error
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -c docs . docs/_build/html
	@echo docs/_build/html/index.html

notebook: $(VENV)/installed-docs ## execute docs/notebook.ipynb again
	cd docs && ../$(BIN)/jupyter-execute --inplace notebook.ipynb

bench: $(VENV)/installed-bench ## measure speed and memory, rewrite benchmarks/*.md
	$(BIN)/python benchmarks/on_paper.py
	$(BIN)/python benchmarks/run.py
	for study in small toys grokking bows large_lr; do $(BIN)/python benchmarks/$$study.py || exit 1; done

torture: $(VENV)/installed-test ## kill the command again and again, rewrite benchmarks/torture.md
	$(BIN)/python tests/torture.py

paper: $(VENV)/installed-paper ## train all figures of the paper at reduced scale, or go on; then draw
	for sweep in sweeps/double_descent/paper/*.toml; do $(BIN)/superpos run $$sweep || [ $$? -eq 1 ] || exit 1; done
	$(BIN)/python -m superpos_jax.statements results
	$(BIN)/superpos check-paper

figures: $(VENV)/installed-paper ## draw all figures of figures/data, rewrite the pages that show them
	$(BIN)/python -m superpos_jax.statements

check-paper: $(VENV)/installed ## the paper's statements, against the numbers in figures/data
	$(BIN)/superpos check-paper

clean:
	rm -rf $(VENV) build dist docs/_build

$(VENV)/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/pip install --quiet --editable .
	touch $@

$(VENV)/installed-%: $(VENV)/installed
	$(BIN)/pip install --quiet --group $*
	touch $@
