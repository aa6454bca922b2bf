# Every target does its own set-up: a fresh machine needs only Python 3.11+ and make.
SHELL := bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
# On a terminal uv shows how far it is; elsewhere that would fill a log.
UV_QUIET := $(shell test -t 2 || echo --quiet)
STAMP := $(VENV)/.installed
LINKED := $(VENV)/.linked
FOLDERS := $(shell find schema resolvers runtime wires server providers testing -type d -not -name __pycache__)
SOURCES := __init__.py schema resolvers runtime wires server providers testing tests scripts examples

# The machine's own certificates count, as they do for pip: behind some proxies no others will do.
export UV_SYSTEM_CERTS := 1

# Without what later versions brought: delta channels (LangGraph 1.2), the allow-list of checkpoints and halves of
# characters in them (langgraph-checkpoint 4), marks of internal calls (LangChain 1.4), and frameworks that need newer
# versions. LangGraph 1.0 asks, of several interrupts, those again that have an answer.
# The lowest versions of CrewAI and of Bedrock's package lift much of the rest, so they have an environment of their own.
APART := tests/unit/crewai tests/integration/crewai tests/integration/providers/test_returned_session.py \
	tests/integration/models/test_bedrock.py
CREWAI_PROJECT := tests/integration/server/test_projects.py::test_a_new_project_chats[crewai]
LOWEST_UNIT := tests/unit --ignore=tests/unit/langgraph/test_later_versions.py $(APART:%=--ignore=%) \
	--deselect="tests/unit/test_public_api.py::test_the_public_names_are_those_listed_here[copilotkit_runtime.providers.crewai]"
LOWEST := $(LOWEST_UNIT) tests/integration --ignore=tests/integration/langgraph/test_delta_channels.py \
	--ignore=tests/integration/agui/test_frameworks.py --ignore=tests/integration/stores/test_checkpoint_types.py \
	--deselect=tests/integration/langgraph/test_interrupts.py::test_of_several_interrupts_those_without_an_answer_are_repeated \
	--deselect=tests/integration/langgraph/test_shown_messages.py::test_model_calls_of_the_framework_s_own_middleware_do_not_show \
	--deselect="$(CREWAI_PROJECT)"

.PHONY: install serve test test-floors test-lowest test-extras test-mcp2 test-pythons faults fuzz audit-dependencies release-check deploy-check hosts-check test-projects e2e e2e-versions recording clients suites audit parity schema-diff lint format drawing typecheck docs docs-serve bench guests check lock clean

install: $(LINKED)

$(STAMP): requirements/dev.txt requirements/uv.txt
	@echo "Setting up $(VENV), once: about a minute on a slow line."
	@command -v $(UV) >/dev/null || { echo "  1/3 uv, into .tools"; scripts/bring-uv $(PYTHON); }
	@test -x $(BIN)/python || $(UV) venv --quiet --python $(PYTHON) $(VENV)
	@echo "  2/3 the locked packages"
	@$(UV) pip sync $(UV_QUIET) --python $(BIN)/python --require-hashes requirements/dev.txt
	@touch $@

# A strict editable install links file by file, so a folder that changed is linked anew. So is what `pip install .` copied.
$(LINKED): $(STAMP) pyproject.toml $(FOLDERS) $(wildcard $(VENV)/lib/python*/site-packages/copilotkit_runtime/__init__.py)
	@test -e $@ || echo "  3/3 this package"
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --config-settings editable_mode=strict --editable .
	@touch $@

serve: install
	$(BIN)/copilotkit-runtime serve examples/demo.py:runtime

test: install
	$(BIN)/python -m pytest -m "not e2e" --numprocesses=3 --dist=loadfile --cov --cov-report=
	$(BIN)/coverage report --include='*/runtime/*,*/resolvers/*,*/wires/*,*/server/*' --fail-under=85
	$(BIN)/coverage report --include='*/providers/*' --fail-under=70

# The unit tests on the lowest versions that pyproject.toml allows; test-lowest runs all that there is for them.
test-floors: install
	scripts/test-in .venv-lowest $(BIN)/python requirements/lowest.txt $(LOWEST_UNIT)

test-lowest: install
	scripts/test-in .venv-lowest $(BIN)/python requirements/lowest.txt $(LOWEST)
	scripts/test-in .venv-lowest-crewai $(BIN)/python requirements/lowest-crewai.txt $(APART) "$(CREWAI_PROJECT)" tests/unit/test_public_api.py
	PYTHON=$(BIN)/python RESOLUTION=lowest-direct scripts/test-extras

test-extras: install
	PYTHON=$(BIN)/python scripts/test-extras

# CrewAI holds the mcp package below 2 everywhere else.
test-mcp2: install
	scripts/test-in .venv-mcp2 $(BIN)/python requirements/mcp2.txt tests/unit/mcp tests/integration/mcp

# A project of each kind that `init` writes, from the wheel in a fresh environment: KINDS="custom model" for some.
test-projects: install
	scripts/test-projects $(KINDS)

test-pythons: install
	PYTHONS="$(PYTHONS)" scripts/test-pythons

# What cannot be looked up is a failure: this needs PyPI itself, not a mirror of its packages.
audit-dependencies: install
	$(UV) tool run --quiet --with-requirements requirements/audit.txt bandit -q -r --severity-level high __init__.py $(FOLDERS)
	$(UV) tool run --quiet --with-requirements requirements/audit.txt pip-audit --strict --disable-pip --require-hashes --requirement requirements/image.txt

release-check: install
	scripts/release --check

# All that goes wrong in the field, on every store: docs/reliability.md names the faults.
faults: install
	$(BIN)/python -m tests.faults --numprocesses=2 --dist=loadfile

# Requests, recordings, events and event streams of any shape: the corpus and a fixed budget of Hypothesis.
fuzz: install
	$(BIN)/python -m pytest --numprocesses=2 tests/fuzz

e2e: install
	scripts/e2e
	$(BIN)/python -m pytest -m e2e --numprocesses=2 --dist=loadfile tests/integration tests/documents

# The animation at the top of README.md: from a clone with nothing installed to a conversation. It wants port 8000.
recording: install
	rm -rf build/recording
	RECORDING=$(CURDIR)/build/recording scripts/e2e first_minutes.test.mjs
	$(BIN)/python -m scripts.recording build/recording docs/first-minutes.gif

# What is in deploy/, with Prometheus, Helm, kubectl and systemd.
deploy-check: install
	scripts/deploy-check

# Several hosts, as network namespaces: what a dead worker host, one that is cut off, and a rolling deployment lose.
hosts-check: install
	scripts/hosts-check

# A page for each of the React packages between the GraphQL wire's and the newest takes minutes to build.
e2e-versions: install
	scripts/e2e versions.test.mjs

clients: install
	tests/clients/run

# The TypeScript runtime's own suites of its endpoints, from a clone of its repository: COPILOTKIT=FOLDER.
suites: install
	tests/clients/suites/run $(COPILOTKIT)

audit: install
	tests/audit/run

parity: install
	tests/clients/run --write docs/parity.md
	tests/audit/run --write docs/parity.md
	$(BIN)/python -m tests.parity.document

schema-diff: install
	scripts/reference/install
	$(BIN)/python -m scripts.contract fetch --check
	$(BIN)/python -m scripts.contract static
	$(BIN)/python -m scripts.contract snapshots
	$(BIN)/python -m scripts.contract live

lint: install
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/lint-imports --no-cache --no-logo

format: install
	$(BIN)/ruff check --fix-only --quiet $(SOURCES)
	$(BIN)/ruff format --quiet $(SOURCES)

typecheck: install
	$(BIN)/mypy -p copilotkit_runtime
	$(BIN)/mypy tests scripts examples

# The documentation as a site, in build/site: a warning or a link that leads nowhere is an error.
docs: export NO_MKDOCS_2_WARNING = 1
docs: install
	$(BIN)/python -m mkdocs --quiet build --clean
	$(BIN)/python -m scripts.site.check build/site

docs-serve: export NO_MKDOCS_2_WARNING = 1
docs-serve: install
	$(BIN)/python -m mkdocs serve

bench: install
	scripts/bench

# Agents that others published, each in an environment of its own: GUESTS=NAME for some, SOURCES=FOLDER of snapshots.
SOURCES ?= https://github.com
guests: install
	nice $(BIN)/python -m scripts.guests --sources $(SOURCES) $(GUESTS)

# What needs a test machine. Two at a time: browsers, builds and downloads leave much of two cores idle.
CHECKS := e2e test test-projects clients audit schema-diff test-floors release-check deploy-check hosts-check

check:
	$(MAKE) --jobs=2 --output-sync=target typecheck lint docs
	$(MAKE) --jobs=2 --keep-going --output-sync=target $(CHECKS)

# Draws the packages' imports in docs/architecture.md anew.
drawing: install
	$(BIN)/python -m scripts.imports --write

lock:
	scripts/lock

clean:
	rm -rf $(VENV) .venv-* .tools build dist *.egg-info
