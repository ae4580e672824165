# make demo       align two portraits and complete them with the model that ships
# make test       lint and the test suite
# make test-all   with the tests that take long, and those that need Chromium, axe-core (by npm) or extras
# make lint       ruff, and the imports between the parts of the package
# make types      pyright
# make coverage   the suite's line and branch coverage, of subprocesses too, in coverage/
# make bench      seconds of a training step and of its input, against the processor's rate
# make quality FACES=DIR   quality of completions beside commit 30362c9's, on photos that are yours
# make lock       the lock files, anew from requirements*.txt
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo
MASKS := center left pattern
AXE := tests/serving/node_modules
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r
# Two at a time: most tests wait for a command, or for one core; each takes up to 2 GiB.
PARALLEL := -n 2 --dist loadfile --no-loadscope-reorder
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command "make lock"

.PHONY: help demo test test-all lint imports types coverage bench quality lock clean

help:
	@sed -n 's/^# make/make/p' Makefile

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 13) or sys.exit("Python %d.%d: TensorFlow here needs 3.11 to 3.13; name one, as in make PYTHON=python3.12 demo" % v)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.lock | $(BIN)/python
	$(INSTALL) $<
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock | $(BIN)/python
	$(INSTALL) $<
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-extras: requirements-extras.lock $(VENV)/.installed
	$(INSTALL) $<
	@touch $@

# Two portraits: aligned, then completed under three masks by the model that ships; and both photos
# themselves, the centres of the faces missing, repaired at their full size.
demo: $(VENV)/.installed
	rm -rf $(DEMO)
	$(BIN)/python data/copy-portraits.py --out $(DEMO)/portraits
	$(BIN)/python align-dlib.py $(DEMO)/portraits align innerEyesAndBottomLip $(DEMO)/aligned
	set -e; for mask in $(MASKS); do \
	    $(BIN)/python complete.py $(DEMO)/aligned --mask-type $$mask \
	        --checkpoint-dir data/pretrained --outDir $(DEMO)/runs/$$mask; \
	    cp $(DEMO)/runs/$$mask/before.png $(DEMO)/before.png; \
	    cp $(DEMO)/runs/$$mask/masked.png $(DEMO)/$$mask-masked.png; \
	    last=$$(ls $(DEMO)/runs/$$mask/completed/*.png | tail -n 1); \
	    cp "$$last" $(DEMO)/$$mask-completed.png; \
	    cp $(DEMO)/runs/$$mask/completion.gif $(DEMO)/$$mask-completion.gif; \
	done
	$(BIN)/python complete-photo.py $(DEMO)/portraits --mask-type center \
	    --checkpoint-dir data/pretrained --out-dir $(DEMO)/photos
	@echo
	@echo "$(DEMO)/photos/before-after/     both photos, and with the centre of each face made anew"
	@echo "$(DEMO)/portraits/               two photos: Eileen Collins, Grace Hopper"
	@echo "$(DEMO)/before.png               their faces, aligned"
	@echo "for each MASK of $(MASKS):"
	@echo "$(DEMO)/MASK-masked.png          what is known of them"
	@echo "$(DEMO)/MASK-completed.png       the completed faces"
	@echo "$(DEMO)/MASK-completion.gif      the search for them, from its start to its end"
	@echo "$(DEMO)/runs/MASK/               all that complete.py has written"

lint: $(VENV)/.installed-dev imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# As in a wheel: in a checkout, stand-ins would hide what model.py, ops.py and utils.py import.
imports: $(VENV)/.installed-dev
	rm -rf build/package
	$(BIN)/python setup.py --quiet build_py --build-lib build/package
	cd build/package && ../../$(BIN)/lint-imports --no-logo --no-cache ../../pyproject.toml

# With the packages that export.py imports.
types: $(VENV)/.installed-dev $(VENV)/.installed-extras
	$(BIN)/pyright

test: lint
	$(BIN)/python -m pytest $(PARALLEL)

test-all: lint $(VENV)/.installed-extras $(AXE)/.installed
	$(BIN)/python -m pytest -m ''

coverage: $(VENV)/.installed-dev
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(PARALLEL)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage html --quiet
	$(BIN)/coverage report

# axe-core looks at the page of serve.py; without npm, or a network, the test that needs it is skipped.
$(AXE)/.installed: tests/serving/package-lock.json
	@mkdir -p $(AXE)
	@if npm ci --prefix tests/serving --ignore-scripts --no-audit --no-fund --loglevel=error; \
	    then touch $@; else echo "npm could not install axe-core: a test of the page is skipped"; fi

bench: $(VENV)/.installed
	$(BIN)/python -m benchmarks.train
	$(BIN)/python -m benchmarks.input

# FACES is a folder of photos that may not be in the repository; see benchmarks/quality.py.
quality: $(VENV)/.installed
	@$(BIN)/python -m benchmarks.quality $(FACES)

# All together first, so that the three agree.
lock: $(VENV)/.installed-dev
	$(LOCK) requirements-dev.txt requirements-extras.txt -o $(VENV)/all.lock
	set -e; for name in requirements requirements-dev requirements-extras; do \
	    $(LOCK) $$name.txt -c $(VENV)/all.lock -o $$name.lock; done

clean:
	rm -rf $(VENV) $(DEMO) $(AXE) build coverage
