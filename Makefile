# Two commands do everything on a fresh machine with Python >= 3.11: `make demo` and `make test`.
# The environment in $(VENV) is made once, and again when a lock or pyproject.toml changes.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
LOCKS := requirements.lock requirements-hsk.lock requirements-triton.lock pyproject.toml
# Tests run in two processes of one thread each. Most tests are too small to use two threads, and four threads on two
# cores would wait for each other.
SIDE_BY_SIDE := -n 2 --dist worksteal
BENCH_DATA = $(or $(DATA),$(VENV)/bench.tsv)
STAMP := $(VENV)/installed-$(shell cat $(LOCKS) | cksum | cut -d ' ' -f 1)

.PHONY: help venv demo test test-fast test-long lint format docs model bench clean

help:
	@echo "make demo       train on the built-in corpora, evaluate, translate, draw attention (minutes)"
	@echo "make test-fast  the fast tests (a minute): after every change"
	@echo "make test       the tests (ten minutes on two quiet cores): before a commit is sent"
	@echo "make test-long  the long tests that make test leaves out (an hour): trainings anew, faults, benchmarks"
	@echo "make lint       style and types"
	@echo "make format     mend the style"
	@echo "make docs       fill the generated tables of the documentation"
	@echo "make model      train the model again that comes with the package (minutes)"
	@echo "make bench      the speed benchmarks on next to nothing (minutes), and how to run the others"
	@echo "make clean      remove the environment, the demo and caches"

venv: $(STAMP)

$(STAMP):
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else "error: Attentio needs Python 3.11 or newer, and $(PYTHON) is %d.%d; name another: make PYTHON=python3.12" % v[:2])'
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@rm -f $(VENV)/installed-*
	@echo "installing into $(VENV): minutes the first time"
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-hsk.lock \
		|| echo "note: the corpus of real sentences (hsk-sentences-audio) cannot be had here; going on without it"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-triton.lock \
		|| echo "note: Triton cannot be had here; the tests of its kernel are left out"
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: venv
	$(BIN)/attentio demo --out demo

test: venv
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not long"

test-fast: venv
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not slow and not long and not gpu"

test-long: venv
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m long

lint: venv
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/basedpyright

format: venv
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: venv
	$(BIN)/python docs/generate.py

model: venv
	$(BIN)/attentio train small-world --preset tiny -o train.epochs=8 --seed 1 --overwrite --out $(VENV)/small-world
	$(BIN)/python -c "from attentio.bundle import Bundle; \
		Bundle.load('$(VENV)/small-world').save('src/attentio/models/small-world', int8=True)"

bench: venv
	@test -n "$(DATA)" || $(BIN)/attentio data sample small-world --count 6000 --seed 1 > $(VENV)/bench.tsv
	$(BIN)/python benchmarks/training_speed.py $(BENCH_DATA) --steps 60 --skip 20 --rounds 1 --only-same
	$(BIN)/python benchmarks/decoding_speed.py $(BENCH_DATA) --train-steps 100 --test 200 --rounds 1
	$(BIN)/python benchmarks/cold_start.py $(BENCH_DATA) --train-steps 100 --test 200 --rounds 3
	$(BIN)/python benchmarks/growth.py $(BENCH_DATA) --sizes 5000 50000 --steps 60 --skip 20 --lengths 16 64 --rounds 1
	@echo "These were too short to say much. For figures leave the options out, take a quiet machine, and see"
	@echo "docs/benchmarks.md: --peers DIR measures against other toolkits, --write keeps the result,"
	@echo "quality_by_time.py and attention.py answer questions of their own."

clean:
	rm -rf $(VENV) demo dist .pytest_cache .ruff_cache .hypothesis
	find src tests examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
