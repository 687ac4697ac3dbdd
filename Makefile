# The handful of things one does here. `make check` is what .ci/run runs.
.PHONY: check test lint lock docs bench

check:
	.ci/run

test:
	uv run pytest

lint:
	uv run ruff check . && uv run ruff format --check . && uv run mypy && uv run lint-imports && uv run pytest -n 0 tests/test_prose.py

lock: # pins and hashes for all dependencies; see CONTRIBUTING.md
	uv lock --upgrade
	uv export -q --frozen --no-emit-project --format requirements.txt -o requirements.lock
	uv run python docs/generate.py --constraints

docs: # regenerate what is generated; CI checks that there is no difference
	uv run python docs/generate.py

bench:
	uv run python benchmarks/create.py
