# Two commands do everything on a fresh machine: `make run` and `make test`. README.md lists the same steps
# for people without make. GPU=1 wants PyTorch with CUDA, GPU=0 the build for the CPU; see install.py.
PYTHON ?= python3
VENV ?= .venv
ifeq ($(OS),Windows_NT)
  BIN := $(VENV)/Scripts
else
  BIN := $(VENV)/bin
endif
STAMP := $(VENV)/.installed

.PHONY: run test lab notebooks bench book lint lock clean asked

run: $(STAMP)  ## install, run every notebook on the demo profile, say where the report is
	$(BIN)/python -m helpers.run demo

test: $(STAMP)  ## install, run every test (the notebooks are replayed by nbval)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lab: $(STAMP)  ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab notebooks

notebooks: $(STAMP)  ## for maintainers: execute the notebooks on their defaults and write them back
	$(BIN)/python -m helpers.run --refresh

bench: $(STAMP)  ## measure the kernels against their peers; results and a figure in benchmarks/results
	$(BIN)/python -m pip install --quiet --editable ".[bench]"
	$(BIN)/python -m benchmarks

book: $(STAMP)  ## README, notebooks as they are, pages and API as a site that needs no network, in outputs/book/html
	$(BIN)/python -m pip install --quiet --editable ".[book]"
	$(BIN)/python -m sphinx -M html . outputs/book -c docs -W

lint: $(STAMP)
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports

lock:  ## for maintainers: resolve the newest versions for every platform; needs uv
	uv pip compile --universal --python-version 3.11 --extra test --generate-hashes --no-annotate --custom-compile-command "make lock" pyproject.toml -o requirements.lock

$(STAMP): install.py requirements.lock pyproject.toml $(if $(GPU),asked)
	$(PYTHON) install.py $(VENV) $(if $(filter 1,$(GPU)),--gpu) $(if $(filter 0,$(GPU)),--cpu)

clean:  ## remove the environment and everything computed; keep what is committed
	$(PYTHON) -c "import shutil, pathlib; [shutil.rmtree(p) for p in [pathlib.Path('$(VENV)'), *(q for q in pathlib.Path('outputs').glob('*') if q.is_dir() and q.name != 'reference')] if p.exists()]"
