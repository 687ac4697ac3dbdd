# The handful of things one does here. `make check` is what .ci/run runs.
.PHONY: check test quick long storms group-storms trust trust-record live live-clean live-rehearsal audit replace-nodes versions lint lock relock lock-files sbom image dist docs pictures site bench bench-record bench-startup growth boot

PROSE = src docs examples *.md benchmarks/*.md packages/*/*.md

check:
	.ci/run

test:
	uv run pytest

quick: # what most changes break, in less than half a minute
	uv run pytest tests/core tests/config tests/ui tests/test_names.py

long: # the enumerations of which `make test` runs a sample
	LONG_TESTS=1 uv run pytest $$(grep -rl --include='test_*.py' support.long_tests tests)

storms: # a thousand random storms over clusters that `reconcile` keeps; STORMS=1-50 runs fewer
	STORMS=$${STORMS:-1-1000} uv run pytest -q tests/cli/test_storms.py -k "random and not groups"

group-storms: # the same over self-healing clusters
	GROUP_STORMS=$${GROUP_STORMS:-1-1000} uv run pytest -q tests/cli/test_storms.py -k groups

trust: # the reliability suite in full, hours; its figures are build/trust/*.json. TRUST_SHARE=0.1 runs a tenth
	rm -rf build/trust
	TRUST=1 TRUST_FIGURES=$(CURDIR)/build/trust uv run pytest -q tests/trust

trust-record: # the figures of the last `make trust`, into docs/promises.md
	mkdir -p docs/data/trust && rm -f docs/data/trust/*.json && cp build/trust/*.json docs/data/trust/
	uv run python docs/generate.py

live: # the life of a small cluster in the AWS account LIVE_ACCOUNT, for less than a dollar; docs/live.md
	uv run pytest -n 0 -s -rs --confcutdir tests/live -m live tests/live/test_live.py

live-clean: # what a former `make live` has left in the account LIVE_ACCOUNT; shows it and asks
	PYTHONPATH=tests uv run python -m support.live.clean

live-rehearsal: # `make live` in a sandbox of its own, in real time
	PYTHONPATH=tests uv run python -m support.live.rehearsal

audit: # bandit over all files, and the locked packages against the database of known vulnerabilities, which is on the internet
	TRUST=1 uv run pytest -n 0 tests/packaging/test_static_security.py
	uv run python .ci/audit.py

replace-nodes: # `replace --drifted` over twenty nodes of the program that BACALHAU_BIN names, while jobs run
	REPLACE_NODES=$${REPLACE_NODES:-20} uv run pytest -n 0 -s tests/cli/test_real_replace.py

versions: # the quick tests and those of the Python API, on the other Pythons that this machine has
	for version in 3.12 3.13 3.14; do \
		uv python find --no-python-downloads $$version >/dev/null 2>&1 || { echo "no Python $$version here"; continue; }; \
		uv run -q --isolated --no-python-downloads --python $$version pytest tests/core tests/config tests/ui tests/api || exit 1; \
	done

lint:
	uv run ruff check . && uv run ruff format --check . && uv run mypy && uv run lint-imports && uv run codespell $(PROSE) && uv run pytest -n 0 tests/test_prose.py

lock: # the newest versions and hashes of all dependencies; see CONTRIBUTING.md
	uv lock --upgrade
	$(MAKE) lock-files

relock: # for a dependency that was added or removed: all others keep their versions
	uv lock
	$(MAKE) lock-files

lock-files: # from uv.lock, which is not committed
	uv export -q --frozen --no-emit-workspace --format requirements.txt -o requirements.lock
	uv export -q --frozen --no-emit-workspace --no-default-groups --all-extras --format requirements.txt -o requirements-run.lock
	uv export -q --frozen --no-emit-workspace --only-group build --format requirements.txt -o requirements-build.lock
	uv run --frozen python docs/generate.py --constraints

sbom: # the components of the program as CycloneDX, in dist/
	.ci/sbom dist/bacalhau-spot.cdx.json

image: # the container image; BASE is the image that it starts from
	.ci/image $${IMAGE:-bacalhau-spot}

dist: # wheels and sdists, checked
	.ci/distributions dist

docs: # regenerate what is generated; CI checks that there is no difference
	uv run python docs/generate.py

pictures: # the program's screens in docs/pictures, taken in a sandbox
	uv run python docs/pictures.py

site: # the documentation as pages to read and search offline: build/site/index.html
	uv run sphinx-build --fail-on-warning --keep-going -q -b html -c docs/site . build/site
	uv run python docs/site/check.py build/site

bench: # every figure beside its limit, in one run
	uv run python benchmarks/report.py

bench-record: # the same, and its table in benchmarks/README.md
	uv run python benchmarks/report.py --record

bench-startup: # the CPU of --help, of a refusal and the like, as ratios to an empty Python
	uv run python benchmarks/startup.py

growth: # calls, CPU and memory to 2,000 nodes and 30 regions, with their picture
	uv run python benchmarks/growth.py --long --plot benchmarks/growth.svg

boot: # a machine from power-on to a joined node: plain, baked, and as older tools set it up; as root, with QEMU
	uv run python benchmarks/first_boot.py
