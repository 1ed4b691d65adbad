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
TESTS := $(VENV)/.tests
ASKED := $(if $(filter 1,$(GPU)),--gpu) $(if $(filter 0,$(GPU)),--cpu)

.PHONY: run test lab notebooks bench book students lint lock clean asked

run: $(STAMP)  ## install, run every notebook on the demo profile, say where the report is
	$(BIN)/python -m helpers.run demo

test: $(TESTS)  ## install, what tests need, too; run every test (the notebooks are replayed by nbval)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lab: $(STAMP)  ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab notebooks

notebooks: $(STAMP)  ## for maintainers: execute the notebooks on their defaults and write them back
	$(BIN)/python -m helpers.run --refresh

bench: $(STAMP)  ## measure the kernels against their peers; results and a figure in benchmarks/results
	$(BIN)/python -m pip install --quiet --editable ".[bench]"
	$(BIN)/python -m benchmarks

book: $(TESTS)  ## README, notebooks as they are, pages and API as a site that needs no network, in outputs/book/html
	$(BIN)/python -m sphinx -M html . outputs/book -c docs -W

students: $(TESTS)  ## a copy of the project without answers, for students, and its book: outputs/students/project
	$(BIN)/python -m helpers.course outputs/students --edition project
	cd outputs/students/project && $(abspath $(BIN))/python -m sphinx -M html . outputs/book -c docs -W

lint: $(STAMP)
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports

lock:  ## for maintainers: resolve the newest versions for every platform; needs uv
	uv pip compile --universal --python-version 3.11 --extra test --generate-hashes --no-annotate --custom-compile-command "make lock" pyproject.toml -o requirements.lock
	uv pip compile --universal --python-version 3.11 --extra test --extra course --extra book --generate-hashes --no-annotate --custom-compile-command "make lock" --constraint requirements.lock $$(sed -n 's/^\([^=]*\)==.*/--no-emit-package \1/p' requirements.lock) pyproject.toml -o requirements-tests.lock

$(STAMP): install.py requirements.lock pyproject.toml $(if $(GPU),asked)
	$(PYTHON) install.py $(VENV) $(ASKED)

$(TESTS): install.py requirements.lock requirements-tests.lock pyproject.toml $(if $(GPU),asked)
	$(PYTHON) install.py $(VENV) --tests $(ASKED)

clean:  ## remove the environment and everything computed; keep what is committed
	$(PYTHON) -c "import shutil, pathlib; [shutil.rmtree(p) for p in [pathlib.Path('$(VENV)'), *(q for q in pathlib.Path('outputs').glob('*') if q.is_dir() and q.name != 'reference')] if p.exists()]"
