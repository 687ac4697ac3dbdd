"""The Python API: the same cluster as the command line's, without a terminal, in the caller's event loop."""

from __future__ import annotations

import asyncio
import gc
import inspect
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

import bacalhau_spot
from bacalhau_spot import (
    AccessError,
    ApiError,
    CleanupReport,
    ConfigurationError,
    ConfirmationError,
    IncompleteError,
    LaunchReceipt,
    ProgressEvent,
    create,
    destroy,
    nuke_resources,
    plan,
    status,
    sync,
)
from support.cli_runner import CliRunner
from support.planted_secrets import SESSION_TOKEN

HEAVY = ("asyncio", "botocore", "cyclopts", "pydantic", "rich", "urllib3")


async def _unawaited(event: ProgressEvent) -> None:
    """A coroutine function where a function is due."""


def own_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("bacalhau-spot")]


def test_a_cluster_lives_and_ends_in_the_callers_event_loop(
    sandbox: Any, user: CliRunner, capfd: pytest.CaptureFixture[str]
) -> None:
    before = sandbox.leftovers()

    async def life() -> None:
        handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        planned = await plan()
        assert (planned.wanted, planned.launch, planned.empty) == (12, 12, False)
        assert planned.usd_per_hour is not None
        assert planned.usd_per_hour.low <= planned.usd_per_hour.high
        assert {pool.type for region in planned.regions for pool in region.pools} == {
            "t3.medium",
            "t3a.medium",
        }
        assert sandbox.leftovers() == before

        receipt = await create(wait="running")
        assert (receipt.running, receipt.missing, len(receipt.launched)) == (12, 0, 12)
        assert all(node.launched_at.tzinfo for node in receipt.launched)
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers

        assert (await plan()).empty
        again = await create(wait="running")
        assert (again.running, again.launched) == (12, ())

        health = await status()
        assert (health.wanted, health.present, health.missing) == (12, 12, 0)
        assert {node.id for node in health.nodes} == {node.id for node in receipt.launched}

        listed = await destroy(dry_run=True)
        assert listed.dry_run
        report = await destroy()
        assert {(item.kind, item.id) for item in listed.to_delete} <= {
            (item.kind, item.id) for item in report.deleted
        }
        assert report.remaining == ()

    asyncio.run(life())
    assert sandbox.leftovers() == before
    assert own_threads() == []
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "")


def test_the_blocking_form_runs_below_a_running_event_loop(sandbox: Any, user: CliRunner) -> None:
    """As in a notebook, which has an event loop of its own."""
    user.configure(nodes=1, regions="[us-east-1]")
    names: list[str] = []

    async def cell() -> tuple[LaunchReceipt, CleanupReport]:
        def note(event: ProgressEvent) -> None:
            names.append(event.name)
            assert threading.current_thread() is threading.main_thread()

        return sync.create(wait="running", on_event=note), sync.nuke_resources(["us-east-1"], force=True)

    receipt, report = asyncio.run(cell())
    assert len(receipt.launched) == 1
    assert "instance-seen" in names
    assert receipt.launched[0].id in {item.id for item in report.deleted}


def test_both_forms_have_the_same_parameters_and_descriptions() -> None:
    for name in sync.__all__:
        one, other = getattr(bacalhau_spot, name), getattr(sync, name)
        assert inspect.signature(one) == inspect.signature(other), name
        assert one.__doc__ == other.__doc__, name


def test_a_cancelled_create_ends_its_calls_and_the_next_one_goes_on(sandbox: Any, user: CliRunner) -> None:
    """As the first Ctrl-C: nothing new begins, and the caller gets its CancelledError when nothing is in flight."""
    before = sandbox.leftovers()

    async def cancelled() -> BaseException:
        def stop(event: ProgressEvent) -> None:
            if event.name == "resource-created" and not task.cancelling():
                task.cancel()

        task = asyncio.ensure_future(create(on_event=stop))
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        return caught.value

    error = asyncio.run(cancelled())
    assert own_threads() == []
    assert any("bacalhau-spot: " in note for note in error.__notes__)
    assert sandbox.leftovers() != before
    assert len(sync.create(wait="running").launched) <= 12
    assert sync.status().present == 12
    assert sync.destroy().remaining == ()
    assert sandbox.leftovers() == before


def test_asyncio_prints_nothing_about_an_error_or_a_cancellation(
    user: CliRunner, caplog: pytest.LogCaptureFixture
) -> None:
    async def ended() -> None:
        with pytest.raises(ConfigurationError):
            await plan("nowhere.yaml")

        def stop(event: ProgressEvent) -> None:
            if event.name == "resource-created" and not task.cancelling():
                task.cancel()

        task = asyncio.ensure_future(create(on_event=stop))
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(ended())
    gc.collect()
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


def test_a_caller_that_left_twice_ends_no_command_with_its_loop(sandbox: Any, user: CliRunner) -> None:
    """Its event loop is closed while the command runs: the events of that command go nowhere, and its calls end as usual."""

    async def left() -> None:
        begun = asyncio.Event()
        task = asyncio.ensure_future(create(on_event=lambda _: begun.set()))
        await begun.wait()
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    failures: list[Any] = []
    before, threading.excepthook = threading.excepthook, failures.append
    try:
        asyncio.run(left())
        for thread in threading.enumerate():
            if thread.name.startswith("bacalhau-spot"):
                thread.join(30)
    finally:
        threading.excepthook = before
    assert failures == []
    assert sync.destroy().remaining == ()  # the lock was released


def test_a_cancelled_plan_ends_at_once(sandbox: Any, user: CliRunner) -> None:
    async def cancelled() -> None:
        task = asyncio.ensure_future(plan())
        await asyncio.sleep(0)  # it has begun
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert own_threads() == []


def test_ctrl_c_in_the_blocking_form_ends_the_calls_first(sandbox: Any, user: CliRunner) -> None:
    """Python raises KeyboardInterrupt where the main thread waits; here the listener does."""

    def press(event: ProgressEvent) -> None:
        if event.name == "resource-created":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sync.create(on_event=press)
    assert own_threads() == []
    sync.destroy()


def test_two_creates_of_one_process_launch_one_cluster(sandbox: Any, user: CliRunner) -> None:
    """The lock of the first one holds, although both are the same process."""

    async def both() -> list[LaunchReceipt]:
        return list(await asyncio.gather(create(wait="running"), create(wait="running")))

    receipts = asyncio.run(both())
    assert sum(len(receipt.launched) for receipt in receipts) == 12
    assert sync.status().present == 12
    sync.destroy()


def test_a_part_of_a_cluster_is_an_error_with_the_receipt(sandbox: Any, user: CliRunner) -> None:
    sandbox.world.settings.capacity = {"us-west-2": 0}
    user.configure(more="spread: strict\n")
    with pytest.raises(IncompleteError) as caught:
        sync.create(wait="running")
    receipt = caught.value.result
    assert isinstance(receipt, LaunchReceipt)
    assert (receipt.running, receipt.missing) == (9, 3)
    assert "3 of 12 nodes are missing" in str(caught.value)
    assert "us-west-2: 3 missing, InsufficientInstanceCapacity" in str(caught.value)
    sandbox.world.settings.capacity = {}
    sync.destroy()


def test_nuke_without_force_deletes_nothing(sandbox: Any, user: CliRunner) -> None:
    user.configure(nodes=1, regions="[us-east-1]")
    sync.create(wait="running")
    with pytest.raises(ConfirmationError) as caught:
        asyncio.run(nuke_resources())
    found = caught.value.result
    assert isinstance(found, CleanupReport)
    assert sync.nuke_resources(dry_run=True).to_delete == found.to_delete
    assert sync.status().present == 1
    assert sync.nuke_resources(force=True).remaining == ()
    assert sync.nuke_resources().to_delete == ()  # nothing is left, so there is nothing to confirm


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: sync.plan("nowhere.yaml"), "nowhere.yaml"),
        (lambda: sync.create(max_price_usd_per_hour=Decimal(-1)), "--max-price"),
        (lambda: sync.create(ttl=timedelta(minutes=1)), "--ttl"),
        (lambda: sync.create(grace=timedelta(minutes=1)), "--allow-removal"),
        (lambda: sync.status(regions=["us-esat-1"]), "us-esat-1"),
        (lambda: sync.destroy(cluster="x" * 300), "--cluster"),
        (lambda: sync.nuke_resources([], force=True), "regions is empty"),
        (lambda: sync.nuke_resources(force=cast("bool", "false")), "force: 'false' is not True or False"),
        (lambda: sync.nuke_resources(cast("list[str]", True)), "regions: True is not a list"),
        (lambda: sync.nuke_resources("us-east-1", force=True), "regions: 'us-east-1' is not a list"),
        (lambda: sync.status(regions=[""]), "regions"),
        (lambda: sync.create(wait=cast("Any", "joind")), "wait: 'joind' is not one of 'joined', 'running'"),
        (lambda: sync.create(ttl=cast("Any", "2h")), "ttl: '2h' is not a timedelta"),
        (lambda: sync.create(grace=cast("Any", 60)), "grace: 60 is not a timedelta"),
        (lambda: sync.create(allow_removal=cast("Any", "no")), "allow_removal"),
        (lambda: sync.create(on_event=cast("Any", 5)), "on_event"),
        (lambda: sync.create(on_event=_unawaited), "on_event: .* is not a function that is no coroutine"),
        (lambda: sync.destroy(timeout_s=0), "timeout_s: 0 is not a whole number of seconds from 1 to"),
        (lambda: sync.destroy(timeout_s=cast("Any", 0.5)), "timeout_s"),
        (lambda: sync.destroy(cluster=cast("Any", 5)), "cluster"),
        (lambda: sync.destroy(sandbox=cast("Any", "false")), "sandbox"),
        (lambda: sync.plan(""), "config: '' is not the path"),
        (lambda: sync.plan("a\0b"), "config"),
        (lambda: sync.plan(cast("Any", 5)), "config: 5 is not the path of a file"),
        (lambda: sync.plan(budget_usd_per_hour=cast("Any", True)), "budget_usd_per_hour: True"),
        (lambda: asyncio.run(create(wait=cast("Any", "joind"))), "wait"),
        (lambda: asyncio.run(create(on_event=_unawaited)), "on_event"),
        (lambda: asyncio.run(nuke_resources(force=cast("Any", 1))), "force: 1"),
        # A lone surrogate has no UTF-8 form.
        (lambda: sync.destroy("\ud800"), r"config: '\\ud800' is not the path of a file"),
        (lambda: sync.plan(Path("\ud800")), "config: "),
        (lambda: sync.plan("\udcff.yaml"), "there is no file"),  # a name that is not UTF-8, and has no file
        (lambda: sync.plan(Path("a\0b")), "config"),
        (lambda: sync.plan(profile="\udcff"), r"profile: '\\udcff' is not a string"),
        (lambda: sync.destroy(cluster="a\ud800"), r"cluster: 'a\\ud800' is not a string"),
        (lambda: sync.status(regions=["eu-west-1", "\ud800"]), "regions: "),
        (lambda: sync.nuke_resources(["\ud800"]), "regions: "),
        (lambda: sync.create(wait=cast("Any", "\ud800")), "wait: "),
        (lambda: sync.create(max_price_usd_per_hour=cast("Any", "\ud800")), "--max-price: "),
        (lambda: sync.plan(budget_usd_per_hour=cast("Any", "\ud800")), "--budget: "),
    ],
)
def test_an_invalid_argument_is_a_configuration_error(
    user: CliRunner, call: Callable[[], object], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        call()


def test_a_refused_plan_is_an_error_without_a_result(user: CliRunner) -> None:
    with pytest.raises(ConfigurationError) as caught:
        sync.plan(budget_usd_per_hour=Decimal("0.01"))
    assert caught.value.result is None
    assert "budget" in str(caught.value)


def test_missing_credentials_are_an_access_error(user: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    with pytest.raises(AccessError) as caught:
        sync.status()
    assert "hint: " in str(caught.value)


def test_no_secret_is_in_a_result_or_an_error(
    sandbox: Any, user: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS may quote what it was sent."""
    user.environ["AWS_SESSION_TOKEN"] = SESSION_TOKEN
    refusal = {"code": "UnauthorizedOperation", "message": f"no, {SESSION_TOKEN}", "status": 403}
    sandbox.world.settings.faults = [{**refusal, "match": "ec2:DescribeInstances", "region": "us-west-1"}]
    health = sync.status()
    assert {failed.code for failed in health.failed_regions} == {"UnauthorizedOperation"}
    assert SESSION_TOKEN not in repr(health) + repr(health.data)
    sandbox.world.settings.faults = [{**refusal, "match": "ec2:DescribeRegions"}]
    with pytest.raises(ApiError) as caught:
        sync.status()
    assert "***" in str(caught.value)
    assert SESSION_TOKEN not in "".join(traceback.format_exception(caught.value))


def test_the_package_is_imported_without_a_library() -> None:
    """Neither the package nor the function: a command is imported in its thread."""
    code = (
        "import sys, bacalhau_spot; print(*sys.modules)\n"
        "from bacalhau_spot import create, ClusterPlan; print(*sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    package, function = (set(line.split()) for line in done.stdout.splitlines())
    assert package.isdisjoint(HEAVY)
    assert function.isdisjoint(set(HEAVY) - {"asyncio"})


def test_the_package_has_the_names_that_it_declares() -> None:
    for name in bacalhau_spot.__all__:
        assert getattr(bacalhau_spot, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'crate'"):
        _ = bacalhau_spot.crate  # type: ignore[attr-defined]  # misspelt
