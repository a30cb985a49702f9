# `make` lists what there is. Everything runs in .venv, which `make setup` makes and keeps up to date.

# With the cache folder that setup remembers.
PY := XDG_CACHE_HOME="$$(cat .venv/setup.XDG_CACHE_HOME)" .venv/bin/python

# Tests start hundreds of Python processes: each would compile the package again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup test lint demo results bench soak gpu docs wheel clean

help: ## this list
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1	\2/p' Makefile | expand -t 16
	@echo
	@echo '  PYTHON=/path/of/python3 make setup   another interpreter; CAFFE_ROOT=dir make setup   an existing Caffe'
	@echo '  XDG_CACHE_HOME=dir make setup        another folder for the built Caffe and for what is downloaded'
	@echo '  CAFFE_GPU=1 make setup               a Caffe for GPUs, and CuPy (docs/gpu.md)'
	@echo '  All are remembered in .venv; an empty value forgets one.'

setup: ## .venv with stock Caffe (built once if there is none) and this package; quick when nothing is to do
	@bash scripts/setup.sh

test: lint ## lint, then all tests, on the real Caffe
	$(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: setup ## ruff (rules and format) and mypy
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

demo: setup ## the main job on real data, ending with numbers and pictures
	$(PY) demo/run.py

results: setup ## the published experiments again: docs/results.md, 35 to 65 minutes
	$(PY) demo/results.py

bench: setup ## the table of speeds
	$(PY) -m tests.bench

soak: setup ## the tests that take longer than `make test` allows
	$(PY) -m pytest -m soak -rP

gpu: setup ## what needs a GPU: its tests and its table of speeds (docs/gpu.md)
	$(PY) -m pytest -m gpu
	$(PY) -m tests.bench gpu gpu_feeding

docs: setup ## what is made of the schemas: docs/layers.md and the types of netspec
	$(PY) -m caffe_pylayers describe --markdown --output docs/layers.md
	$(PY) -m caffe_pylayers.descriptions.stub

wheel: setup ## the wheel, in dist/
	$(PY) -m build --wheel

clean: ## remove what was made in this checkout (.venv too; the built Caffe stays in the cache)
	rm -rf .venv .venv.old .venv.new build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis demo_output
	find . -name .git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
