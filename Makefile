# `make` alone prints what there is.
SCALE ?= quick
DATA ?=
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# glibc gives a training step's memory back and takes it again in the next: up to 20,000 page faults.
export MALLOC_TRIM_THRESHOLD_ := 1073741824
export MALLOC_MMAP_THRESHOLD_ := 33554432

.PHONY: help book test lint check-book check-colab headline plotly clean

help:
	@echo "make book [SCALE=quick|full] [DATA=DIR]   run every chapter and build _build/html"
	@echo "make test                                lint, types, tests"
	@echo "make lint                                lint and types only"
	@echo "make check-book                          open the built book in headless Chromium"
	@echo "make check-colab [ARGS=--any-torch]      tests and two chapters with Colab's packages"
	@echo "make headline                            draw the README's figure from its recorded result"
	@echo "make plotly                              bundle the book's plotly.js, with npm"
	@echo "make clean                               delete what was built, keep .venv"
	@echo
	@echo "DATA is a folder of the full data sets; .venv is made on first use."

# pip removes nothing that a new lock no longer names; delete .venv for that. What is never
# imported need not be compiled: Python does the rest at first use.
$(READY): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || \
	  { echo "error: no '$(PYTHON)' found; install Python 3.11 or newer, or set PYTHON=" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: Python 3.11 or newer is needed, this is $$($(PYTHON) -V); set PYTHON=" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "error: Python cannot make environments; on Debian: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile \
	  -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

book: $(READY)
	@$(BIN)/python -m alod_book.build --scale $(SCALE) $(if $(DATA),--data "$(DATA)")

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell
	@for notebook in book/*.ipynb; do \
	  [ ! -e "$$notebook" ] || $(BIN)/nbstripout --verify "$$notebook" || \
	  { echo "error: $$notebook holds outputs; strip them: $(BIN)/nbstripout $$notebook" >&2; exit 1; }; \
	done

test: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2

check-book: $(READY)
	@$(BIN)/python scripts/check_book.py

check-colab:
	@$(PYTHON) scripts/check_colab.py $(ARGS)

headline: $(READY)
	@$(BIN)/python scripts/make_headline.py book/results/strategies.csv

plotly:
	cd _ext/plotly && npm install --no-audit --no-fund --no-package-lock && npm run build

clean:
	rm -rf _build .mypy_cache .pytest_cache .ruff_cache .hypothesis
