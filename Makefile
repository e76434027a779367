# `make run` talks, `make test` tests; both set up what they need first. See packaging/README.md.
PYTHON ?= python3
ARGS ?=

.PHONY: run test lint setup gate deb onefolder clean python
.DEFAULT_GOAL := run

run test lint setup: python
	@$(PYTHON) packaging/bootstrap.py $@ $(ARGS)

python:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found; to install it: sudo apt install python3 python3-venv" >&2; exit 1; }

# This checkout against the pinned baseline (packaging/baseline.txt): real time, half an hour and more.
gate:
	@$(PYTHON) packaging/gate.py $(ARGS)

# Debian packages of this checkout. See docs/shipping/debian.md.
deb: python
	@$(PYTHON) packaging/bootstrap.py setup packaging
	@PYTHONPATH=.:packaging .venv/bin/python -m edge_assistant_packaging.debian $(ARGS)

# One folder that runs on a machine without Python, in an environment of its own. See docs/shipping/desktop.md.
onefolder: python
	@PYTHON=$(PYTHON) sh packaging/desktop/build.sh $(ARGS)

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
