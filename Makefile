# make demo   align two portraits and complete them with the model that ships
# make test   lint and the test suite
# make test-all   with the tests that take long, and those that need Chromium, axe-core (by npm) or extras
# make bench  seconds of a training step and of its input, against the processor's rate
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo
MASKS := center left pattern
AXE := tests/serving/node_modules

.PHONY: help demo test test-all bench lint clean

help:
	@sed -n 's/^# make/make/p' Makefile

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 13) or sys.exit("Python %d.%d: TensorFlow here needs 3.11 to 3.13; name one, as in make PYTHON=python3.12 demo" % v)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

$(VENV)/.installed-extras: requirements-extras.txt $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-extras.txt
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

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Two at a time: most tests wait for a script, or for one core; each takes up to 2 GiB.
test: lint
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-all: lint $(VENV)/.installed-extras $(AXE)/.installed
	$(BIN)/python -m pytest -m ''

# axe-core looks at the page of serve.py; without npm, or a network, the test that needs it is skipped.
$(AXE)/.installed: tests/serving/package-lock.json
	@mkdir -p $(AXE)
	@if npm ci --prefix tests/serving --ignore-scripts --no-audit --no-fund --loglevel=error; \
	    then touch $@; else echo "npm could not install axe-core: a test of the page is skipped"; fi

bench: $(VENV)/.installed
	$(BIN)/python benchmarks/train.py
	$(BIN)/python benchmarks/input.py

clean:
	rm -rf $(VENV) $(DEMO) $(AXE)
