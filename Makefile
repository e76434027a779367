# `make run` talks, `make test` tests; both set up what they need first. See packaging/README.md.
PYTHON ?= python3
ARGS ?=

.PHONY: run test lint setup gate clean
.DEFAULT_GOAL := run

run test lint setup:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found; to install it: sudo apt install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) packaging/bootstrap.py $@ $(ARGS)

# This checkout against the pinned baseline (packaging/baseline.txt): real time, half an hour and more.
gate:
	@$(PYTHON) packaging/gate.py $(ARGS)

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
