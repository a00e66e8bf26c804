# make demo and make test are all that is needed; both build .venv the first time. Another Python: make demo PYTHON=python3.13

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
PIP := -m pip --disable-pip-version-check --quiet
LOCKED_TORCH := 2.13.0
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

.PHONY: demo test test-all lint claims record generators mixers bench lock clean
.DELETE_ON_ERROR:

demo: $(READY)
	$(BIN)/sequary compare src/sequary/data/demo/co2.csv --horizon 26 --budget 45s --out demo-report
	@echo "The report: $(CURDIR)/demo-report/report.html"

test: $(READY)
	$(PYTEST) -m "not slow"

test-all: $(READY)
	$(PYTEST)

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/basedpyright

# Records every claim that is missing or stale: background work, resumable.
claims: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m sequary.claims
	$(BIN)/python -m sequary.claims.page docs/claims.md

# Writes what the laws and the recorded cases say of every built system whose record is stale into src/sequary/results, with the hash of
# its sources.
record: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m sequary.cli.record

# Trains the image generators on ../shared/data's digits, keeps them in build/generators and writes docs/generation.md: hours, resumable.
generators: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/generation.py

# What layers cost and learn, kept in benchmarks/mixers as it comes, and docs/mixers.md from it: hours, resumable. Nothing else should run
# beside the first command.
mixers: $(READY)
	$(BIN)/sequary bench mixers --out benchmarks/mixers
	OMP_NUM_THREADS=1 $(BIN)/sequary bench mixers --learn --out benchmarks/mixers
	$(BIN)/python -m sequary.bench.document benchmarks/mixers docs/mixers.md

# The figures of docs/results.md. Nothing else should run.
bench: $(READY)
	$(BIN)/python benchmarks/epoch.py
	$(BIN)/python benchmarks/ops.py
	$(BIN)/python benchmarks/loop.py
	$(BIN)/python benchmarks/dropout.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/etth1.py

$(READY): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "sequary needs Python 3.11 or newer, $(PYTHON) is $$($(PYTHON) -V 2>&1 | tail -n 1): name another, as in make demo PYTHON=python3.13" >&2; exit 1; }
	@echo "Installing the locked set into $(VENV): once, a few minutes at most."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP) install -r requirements-dev.lock
	$(BIN)/python $(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

# Writes the lock anew from pyproject.toml. What torch itself brings for a GPU differs by machine and follows torch's own pin.
lock:
	rm -rf .lock-venv
	$(PYTHON) -m venv .lock-venv
	.lock-venv/bin/python $(PIP) install --upgrade "pip>=25.1"
	.lock-venv/bin/python $(PIP) install "torch==$(LOCKED_TORCH)" --group dev --editable ".[classical]"
	@{ echo "# Made by make lock: the set that the tests run with. Do not edit."; \
	  .lock-venv/bin/python -m pip freeze --all --exclude pip --exclude sequary \
	  | sed -E -e '/^(nvidia-|cuda-|triton==)/d' -e 's/\+[a-z0-9.]+$$//'; } > requirements-dev.lock
	rm -rf .lock-venv

clean:
	rm -rf $(VENV) .lock-venv demo-report build dist .pytest_cache .ruff_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
