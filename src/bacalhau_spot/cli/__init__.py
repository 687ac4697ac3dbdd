"""The command line: one file per command. Only `main` turns exceptions into messages and exit codes."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NoReturn

from bacalhau_spot.cli.runtime import garbage, safe_streams
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui.filtered import filtered

if TYPE_CHECKING:
    from bacalhau_spot.cli.runtime.environment import Runtime

# What the completion scripts of shells call.
_COMPLETE = "__complete"
# Without a word of these, a command line asks for no page.
_PAGES = frozenset({"--help", "-h", "--version", "-V", "help", "version"})


def main() -> NoReturn:
    """The console script."""
    garbage.pause()
    _switch_off_core_files()
    # A stream that was closed before the start is None.
    sys.stdin = safe_streams.wrap_input(sys.stdin)
    out = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    err = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    sys.stdout, sys.stderr = (filtered(safe_streams.wrap(stream)) for stream in (out, err))
    try:
        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # before the command started, or while the result was printed
        sys.stderr.write("interrupted\n")
        code = ExitCode.INTERRUPTED
    sys.stdout.flush()
    trouble = safe_streams.write_error(sys.stdout)
    if trouble:
        sys.stderr.write(f"error: the result could not be written: {trouble}\n")
        code = code or ExitCode.FAILED
    sys.stderr.flush()
    garbage.pause()
    if code in {ExitCode.INTERRUPTED, ExitCode.TERMINATED} or _has_live_threads():
        os._exit(code)
    sys.exit(code)


def _switch_off_core_files() -> None:
    """The memory has secrets, and a crash would write it into a file. Programs that this one starts inherit it."""
    import resource  # noqa: PLC0415 - the module is not on every system, and the Python API has another main

    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))


def _has_live_threads() -> bool:
    """Whether a call is still blocked in a thread, for which Python would wait."""
    threading = sys.modules.get("threading")  # a help page needs none
    return threading is not None and any(
        thread is not threading.main_thread() for thread in threading.enumerate() if not thread.daemon
    )


def run(argv: list[str], *, runtime: Runtime | None = None) -> int:
    """Run one command line and return its exit code. `runtime` is the environment, replaced in tests."""
    argv = _with_long_options(argv)
    if _complete(argv, runtime) or _print_page(argv, runtime):
        return ExitCode.DONE
    # Imported here, so that the first line appears without a delay.
    from bacalhau_spot.cli.runtime.banner import print_banner  # noqa: PLC0415

    print_banner(argv, runtime.stderr if runtime else sys.stderr)
    from dataclasses import replace  # noqa: PLC0415

    from cyclopts import CycloptsError  # noqa: PLC0415

    from bacalhau_spot.cli import app as tree  # noqa: PLC0415
    from bacalhau_spot.cli.runtime import reporting, usage_errors  # noqa: PLC0415
    from bacalhau_spot.cli.runtime.command_line import (  # noqa: PLC0415
        command_first,
        page_words,
        read_invocation,
        validate_arguments,
    )
    from bacalhau_spot.cli.runtime.environment import Runtime as World  # noqa: PLC0415

    invocation = read_invocation(argv)
    world = replace(runtime or World.real(), invocation=invocation)
    _filter_libraries(world, runtime)
    app = tree.build_app(argv)
    try:
        validate_arguments(argv)
        command, bound, extra = app.parse_args(command_first(argv), exit_on_error=False, print_error=False)
        if "runtime" not in extra:
            _print_page(page_words(argv, invocation, version=command.__name__ == "version_print"), world)
            return ExitCode.DONE
        world = replace(world, invocation=invocation.of_command(bound.arguments))
        result = command(*bound.args, **bound.kwargs, runtime=world)
        return reporting.print_result(result, world)
    except CycloptsError as error:
        return reporting.print_error(usage_errors.usage_error(error, app), world)
    except UserError as error:
        return reporting.print_error(error, world)
    except KeyboardInterrupt:
        return reporting.print_error(reporting.interrupted(), world)
    except Exception as error:  # noqa: BLE001 - the only place where any exception becomes a message instead of a traceback
        return reporting.print_error(reporting.unexpected(error, world), world)


def _print_page(argv: list[str], runtime: Runtime | None) -> bool:
    """Print a help page or the version, if `argv` asks for nothing else."""
    if argv and _PAGES.isdisjoint(argv):
        return False
    from bacalhau_spot.cli.runtime.help_page import page_text  # noqa: PLC0415 - commands do not need it

    stdout, environ = (runtime.stdout, runtime.environ) if runtime else (sys.stdout, os.environ)
    page = page_text(argv, stdout, environ=environ)
    if page is None:
        return False
    # Past the filter of escape sequences, which are the program's own.
    getattr(stdout, "styled", stdout).write(page)
    return True


def _filter_libraries(world: Runtime, runtime: Runtime | None) -> None:
    """In a real run, the output of libraries is filtered too."""
    if runtime is None:
        sys.stdout, sys.stderr = world.stdout, world.stderr


def _with_long_options(argv: list[str]) -> list[str]:
    """`--json` as `--output=json`. The words behind `--` are another program's."""
    end = argv.index("--") if "--" in argv else len(argv)
    return ["--output=json" if word == "--json" else word for word in argv[:end]] + argv[end:]


def _complete(argv: list[str], runtime: Runtime | None) -> bool:
    """Print the words that may follow on a command line, if a shell asks for them."""
    if argv[:1] != [_COMPLETE]:
        return False
    from bacalhau_spot.cli.runtime.completer import completion_lines  # noqa: PLC0415 - only shells need it

    stdout, environ, cwd = sys.stdout, {**os.environ}, os.curdir
    if runtime:
        stdout, environ, cwd = (
            runtime.stdout,
            {**runtime.environ, "HOME": str(runtime.home)},
            str(runtime.cwd),
        )
    stdout.write("".join(f"{line}\n" for line in completion_lines(argv[1:], environ=environ, cwd=cwd)))
    return True
