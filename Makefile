# make demo   align two portraits, train a small model on drawn faces, complete some with it
# make test   lint and the test suite
# make test-all   with the tests that take long, or look at TensorBoard in Chromium
# make bench  seconds of training, completion and input, against the processor's rate
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo

.PHONY: help demo test test-all bench lint clean

help:
	@sed -n 's/^# //p' Makefile

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 13) or sys.exit("Python %d.%d: TensorFlow here needs 3.11 to 3.13; name one, as in make PYTHON=python3.12 demo" % v)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# Drawn faces, two minutes of training, completions; then photos of people, aligned.
demo: $(VENV)/.installed
	rm -rf $(DEMO)
	$(BIN)/python data/draw-faces.py --n 4000 --size 32 --out $(DEMO)/faces
	$(BIN)/python data/draw-faces.py --n 16 --size 32 --seed 1 --out $(DEMO)/held-out
	$(BIN)/python train-dcgan.py --dataset $(DEMO)/faces --image-size 32 --gf-dim 16 --df-dim 16 \
	    --epoch 1000 --minutes 2 --sample-interval 500 --checkpoint-dir $(DEMO)/checkpoint \
	    --sample-dir $(DEMO)/samples --log-dir $(DEMO)/logs
	$(BIN)/python sample-dcgan.py --checkpoint-dir $(DEMO)/checkpoint --out $(DEMO)/samples.png
	$(BIN)/python complete.py $(DEMO)/held-out --checkpoint-dir $(DEMO)/checkpoint \
	    --outInterval 10 --outDir $(DEMO)/completions
	$(BIN)/python data/copy-portraits.py --out $(DEMO)/portraits
	$(BIN)/python align-dlib.py $(DEMO)/portraits align innerEyesAndBottomLip $(DEMO)/aligned
	@echo
	@echo "$(DEMO)/samples.png                  64 faces that the trained generator made up"
	@echo "$(DEMO)/completions/before.png       16 faces that it never saw"
	@echo "$(DEMO)/completions/masked.png       their known part"
	@echo "$(DEMO)/completions/completion.gif   the search for the rest, from its start to its end"
	@echo "$(DEMO)/completions/final/           the completed faces, one file each"
	@echo "$(DEMO)/portraits/                   two photos: Eileen Collins, Grace Hopper"
	@echo "$(DEMO)/aligned/                     their faces, as training and completion need them"

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

test: lint
	$(BIN)/python -m pytest

test-all: lint
	$(BIN)/python -m pytest -m ''

bench: $(VENV)/.installed
	$(BIN)/python benchmarks/train.py
	$(BIN)/python benchmarks/input.py

clean:
	rm -rf $(VENV) $(DEMO)
