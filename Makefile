# Everything runs in a virtual environment made here; nothing but Python >= 3.11 and make is needed.
#
#   make demo         a tour on this machine, against the sandbox
#   make test         the tests
#   make test-httpx2  those of the transport on httpx2 in httpx's place
#   make test-wheel   the tests against the built wheel, away from the sources
#   make quick        the tests that differ between Pythons, in two minutes: make quick PYTHON=python3.13 VENV=build/3.13
#   make lint         ruff and mypy
#   make format       ruff's fixes and its formatting
#   make docs         the documentation, into site/
#   make measure      figures of the code beside their targets; ARGS=--list names the places
#   make bench        the promised rates; fails if one is not reached
#   make torture      kills, freezes, wrong answers, full disks: the long version, which writes docs/reliability.md
#   make sbom         the bill of materials of what a user installs, into build/sbom.json
#   make lock         the versions and hashes in requirements/, anew from pyproject.toml
#
# Everything is installed from requirements/*.txt, where each file that may be downloaded has its hash.
# PYTHON is the interpreter, VENV the directory of the environment; ARGS is passed on, for example to pytest.
# The tests run side by side in WORKERS processes, two for each processor, because half of the time they wait;
# ARGS=-n0 runs them one after another, and ARGS=--cov prints which lines they do not reach, commands included.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
WORKERS ?= $(shell expr 2 '*' $$(getconf _NPROCESSORS_ONLN))
BIN := $(VENV)/bin
TRANSPORT := $(addprefix tests/test_,connections.py overload.py private_parts.py quiet.py runner.py)
WHEEL := build/wheel
SBOM := build/sbom

# Exactly these files, or nothing; what a package index offers besides is not looked at.
LOCKED := install -qq --require-hashes
# payhub itself has no hash, and all that it needs is there already, hatchling too.
ITSELF := install -qq --no-deps --no-build-isolation --check-build-dependencies

# Uninstalled before payhub is installed: the name payhub on PyPI is another company's, and was this project's own once.
# Left in an environment, it would be a second distribution with the same command and the same driver.
OTHER := payhub

export PIP_DISABLE_PIP_VERSION_CHECK = 1
export PIP_NO_INPUT = 1
export NO_MKDOCS_2_WARNING = 1
# The tests start hundreds of processes; none need compile the sources anew.
unexport PYTHONDONTWRITEBYTECODE

# Where Pythons differ: text, numbers, types, threads, event loops, TLS, SQLite, forks, entry points, and the inside of
# libraries.
QUICK := $(addprefix tests/,receivers testing \
	$(addprefix test_,$(addsuffix .py,config connections context driver errors exchanges files hiding hub masking \
	masking_text models money odd_texts plan plugins private_parts quiet registry runner)) \
	$(addprefix journal/test_,$(addsuffix .py,database forks journal)) \
	$(addprefix alikassa/test_,$(addsuffix .py,plugin signing wire)))

.PHONY: demo test test-httpx2 quick test-wheel lint format docs measure bench torture sbom lock venv clean
.DELETE_ON_ERROR:

demo: $(VENV)/.installed
	@$(BIN)/payhub demo

test: $(VENV)/.installed-dev
	$(BIN)/pytest -n $(WORKERS) --dist worksteal $(ARGS)

# In an environment of its own, because wherever httpx2 is installed payhub takes it.
test-httpx2:
	@$(MAKE) --no-print-directory venv VENV=build/httpx2
	@build/httpx2/bin/pip $(LOCKED) -r requirements/httpx2.txt
	build/httpx2/bin/pytest -q -n $(WORKERS) --dist worksteal $(TRANSPORT) $(ARGS)

quick: $(VENV)/.installed-dev
	$(BIN)/pytest -q -n $(WORKERS) --dist worksteal $(QUICK) $(ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(VENV)/.installed-dev
	$(BIN)/mkdocs build --strict --quiet
	@echo "The documentation is in site/index.html; for the search: $(BIN)/python -m http.server --directory site"

measure: $(VENV)/.installed-dev
	@$(BIN)/python -m tools.measure $(ARGS)

bench: $(VENV)/.installed-dev
	$(BIN)/python -m bench.bench

torture: $(VENV)/.installed-dev
	$(BIN)/python -m torture $(ARGS)

# The tests run on a copy that has no payhub/ and no payhub_alikassa/, so only the wheel can serve
# them. build makes the wheel out of the source distribution, which is thereby tested too.
test-wheel: $(VENV)/.installed-dev
	@rm -rf $(WHEEL) && mkdir -p $(WHEEL)/copy
	@echo "Building the wheel ..."
	@$(BIN)/python -m build --quiet --no-isolation --outdir $(WHEEL)/dist
	@$(PYTHON) -m venv $(WHEEL)/venv
	@$(WHEEL)/venv/bin/pip $(LOCKED) -r requirements/dev.txt
	@$(WHEEL)/venv/bin/pip install -qq --no-deps $(WHEEL)/dist/*.whl
	@for path in .ci tests bench cassettes docs requirements README.md CHANGELOG.md LICENSE SECURITY.md Makefile \
		mkdocs.yml pyproject.toml; do \
		if [ -e $$path ]; then cp -r $$path $(WHEEL)/copy/; fi; done
	@if [ -d ../shared ]; then ln -sfn $(abspath ../shared) $(WHEEL)/shared; fi
	@cd $(WHEEL)/copy && ../venv/bin/python -Pc 'import payhub, payhub_alikassa as a; \
		assert all("site-packages" in m.__file__ for m in (payhub, a)), payhub.__file__; print("Testing", payhub.__file__)'
	cd $(WHEEL)/copy && ../venv/bin/pytest -n $(WORKERS) --dist worksteal $(ARGS)

sbom: | $(VENV)/bin/python
	@rm -rf $(SBOM) && mkdir -p $(SBOM)
	@$(VENV)/bin/python -m venv $(SBOM)/tool && $(SBOM)/tool/bin/pip $(LOCKED) -r requirements/sbom.txt
	@$(VENV)/bin/python -m venv --without-pip $(SBOM)/user
	@$(SBOM)/tool/bin/pip --python $(SBOM)/user $(LOCKED) -r requirements/run.txt
	@$(SBOM)/tool/bin/cyclonedx-py environment --output-reproducible --pyproject pyproject.toml \
		--output-file build/sbom.json $(SBOM)/user
	@echo "The bill of materials is in build/sbom.json (CycloneDX)"

lock:
	@[ -x build/lock/bin/uv ] || { $(PYTHON) -m venv build/lock && build/lock/bin/pip install -qq uv; }
	@for each in \
		"build --group pyproject.toml:build" \
		"run pyproject.toml --extra cli --extra server --extra sql" \
		"dev pyproject.toml --all-extras --group build -c requirements/build.txt -c requirements/run.txt" \
		"httpx2 --group pyproject.toml:httpx2 -c requirements/dev.txt" \
		"sbom --group pyproject.toml:sbom"; do \
		set -- $$each; file=requirements/$$1.txt; shift; \
		build/lock/bin/uv pip compile "$$@" $(ARGS) --universal --python-version 3.11 --generate-hashes --quiet \
			--no-annotate --custom-compile-command "make lock" --output-file $$file || exit 1; done

venv: $(VENV)/.installed-dev

clean:
	rm -rf build dist site .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@if [ -z "$(PYTHON)" ]; then echo "payhub needs Python 3.11 or newer; say where it is: make PYTHON=/path/to/python" >&2; exit 2; fi
	@echo "Making $(VENV) with $(PYTHON) ..."
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "$(PYTHON) cannot make virtual environments; on Debian: apt-get install python3-venv" >&2; exit 2; }

$(VENV)/.installed: pyproject.toml requirements/build.txt requirements/run.txt | $(VENV)/bin/python
	@echo "Installing payhub and what it needs ..."
	@$(BIN)/pip uninstall -qq --yes $(OTHER)
	@$(BIN)/pip $(LOCKED) -r requirements/build.txt -r requirements/run.txt
	@$(BIN)/pip $(ITSELF) --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml requirements/dev.txt | $(VENV)/bin/python
	@echo "Installing payhub and what its development needs ..."
	@$(BIN)/pip uninstall -qq --yes $(OTHER)
	@$(BIN)/pip $(LOCKED) -r requirements/dev.txt
	@$(BIN)/pip $(ITSELF) --editable .
	@touch $(VENV)/.installed $@
