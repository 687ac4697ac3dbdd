"""What EC2 hands to a node: whole, small enough, the same every time, and with every secret in one place."""

from __future__ import annotations

import ast
import base64
import dataclasses
import gzip
import json
import random
import shutil
import string
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # cloud-init reads with it; it ships no types
from hypothesis import given
from hypothesis import strategies as st

from bacalhau_spot.core.model import (
    BacalhauSpec,
    ClusterSpec,
    InstanceSpec,
    Naming,
    NodeFile,
    Secret,
    Secrets,
    TlsMode,
)
from bacalhau_spot.core.ssh.host_keys import HostKey, console_host_keys
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.instance import minify
from bacalhau_spot.instance.template import MAX_BYTES
from bacalhau_spot.instance.user_data import cloud_config, render
from support.certificates import self_signed
from support.node_specs import CA, FULL, PLAIN, PUBLIC_KEY, TOKEN, VARIANTS

PACKAGE = Path(render.__code__.co_filename).parent
# cloud-init's modules that we use. Older ones take any key without a word, so the list is kept here too.
KEYS = {
    "disable_root",
    "package_reboot_if_required",
    "package_update",
    "package_upgrade",
    "runcmd",
    "ssh_pwauth",
    "users",
    "write_files",
}


def read(spec: ClusterSpec) -> dict[str, Any]:
    """As cloud-init reads it."""
    row: dict[str, Any] = yaml.safe_load(gzip.decompress(render(spec, region="us-east-1")))
    return row


def files(spec: ClusterSpec) -> dict[str, dict[str, Any]]:
    return {file["path"]: file for file in read(spec)["write_files"]}


def noise(size: int) -> str:
    """Text that no compression makes small."""
    source = random.Random(size)
    return "".join(source.choice(string.ascii_letters + string.digits) for _ in range(size))


def with_commands(text: str) -> ClusterSpec:
    return dataclasses.replace(PLAIN, instance=InstanceSpec(additional_commands=text))


def test_the_same_spec_gives_the_same_bytes(variant: ClusterSpec) -> None:
    assert render(variant, region="us-east-1") == render(variant, region="us-east-1")


def test_every_variant_is_a_cloud_config_with_known_keys_and_room_to_spare(variant: ClusterSpec) -> None:
    data = render(variant, region="us-east-1")
    assert gzip.decompress(data).startswith(b"#cloud-config\n")
    assert set(read(variant)) == KEYS
    # For the certificate, `additional_commands` and `instance.files`.
    assert len(data) < MAX_BYTES - (2700 if variant.bacalhau.secrets is Secrets.USER_DATA else 1700)


def test_with_ssm_a_private_authority_and_files_it_fits(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    spec = dataclasses.replace(
        VARIANTS["ssm"],
        bacalhau=dataclasses.replace(VARIANTS["ssm"].bacalhau, ca_pem=certificate),
        instance=InstanceSpec(files=(NodeFile("/etc/motd", noise(700)),)),
    )
    assert len(render(spec, region="us-east-1")) < MAX_BYTES


def test_with_ssm_the_token_is_not_in_it() -> None:
    """The node is told the parameter's name, and gets the program that reads it."""
    text = cloud_config(VARIANTS["ssm"], region="us-east-1")
    assert TOKEN not in text and "GetParameter" in text
    assert "/bacalhau-spot/bacalhau-aws-spot-14f543f3/token" in text
    assert "GetParameter" not in cloud_config(VARIANTS["full"], region="us-east-1")


@pytest.mark.skipif(
    not shutil.which("cloud-init"), reason="cloud-init is not installed (apt-get install cloud-init)"
)
def test_cloud_init_accepts_every_variant(variant: ClusterSpec, tmp_path: Path) -> None:
    file = tmp_path / "user-data"
    file.write_text(cloud_config(variant, region="us-east-1"), "utf-8")
    result = subprocess.run(
        ["cloud-init", "schema", "--config-file", str(file)], check=False, capture_output=True, text=True
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert "Valid" in result.stdout


def test_every_program_and_unit_of_the_package_reaches_the_node() -> None:
    sent = files(VARIANTS["ssm"])
    for script in (PACKAGE / "scripts").glob("*.py"):
        if script.name.startswith("orchestrator_") or script.name == "bake.py":
            continue  # test_orchestrator_data.py, test_bake.py
        content = sent[f"/usr/local/lib/bacalhau-spot/node/{script.name}"]["content"]
        assert content == minify.minify_python(script.read_text("utf-8"))
    for unit in (PACKAGE / "units").iterdir():
        if unit.name.startswith("bacalhau-orchestrator"):
            continue
        content = sent[f"/etc/systemd/system/{unit.name}"]["content"]
        assert content == minify.minify_unit(unit.read_text("utf-8"))


def test_programs_are_python_3_9() -> None:
    for script in (PACKAGE / "scripts").glob("*.py"):
        ast.parse(minify.minify_python(script.read_text("utf-8")), feature_version=(3, 9))


def test_nothing_upgrades_or_reboots() -> None:
    config = read(FULL)
    assert not config["package_update"]
    assert not config["package_upgrade"]
    assert not config["package_reboot_if_required"]
    assert "power_state" not in config


def test_no_shell_stands_between_cloud_init_and_our_programs() -> None:
    assert read(FULL)["runcmd"][1:] == [
        ["env", "-C", "/usr/local/lib/bacalhau-spot", "python3", "-m", "node.first_boot"]
    ]


def test_the_first_command_shows_the_host_keys_on_the_console(tmp_path: Path) -> None:
    """Before the first boot, because cloud-init prints them after it; and after a line that somebody has left open."""
    command = read(FULL)["runcmd"][0]
    blob = b"".join(len(part).to_bytes(4) + part for part in (b"ssh-ed25519", bytes(range(32))))
    key = base64.b64encode(blob).decode()
    (tmp_path / "ssh_host_ed25519_key.pub").write_text(f"ssh-ed25519 {key} root@host\n")
    (tmp_path / "ssh_host_ed25519_key").write_text("private")
    console = tmp_path / "console"
    console.write_text("[    1.0] kernel: ")
    here = command.replace("/etc/ssh", str(tmp_path)).replace(">/dev/console", f">>{console}")
    assert str(tmp_path) in here and str(console) in here
    subprocess.run(["/bin/sh", "-c", here], check=True)
    assert console_host_keys(console.read_text()).keys == (HostKey("ssh-ed25519", key),)
    assert "private" not in console.read_text()


def test_the_user_has_the_key_and_sudo_and_no_password() -> None:
    (user,) = read(FULL)["users"]
    assert user["name"] == user["primary_group"] == "bacalhau"
    assert user["ssh_authorized_keys"] == [PUBLIC_KEY]
    assert user["sudo"] == "ALL=(ALL) NOPASSWD:ALL"
    assert user["lock_passwd"] is True
    assert read(FULL)["ssh_pwauth"] is False
    assert read(PLAIN)["users"][0].get("ssh_authorized_keys") is None


@pytest.mark.parametrize("spec", VARIANTS.values(), ids=VARIANTS)
def test_the_token_is_in_one_file_that_root_alone_reads(spec: ClusterSpec) -> None:
    holding = [path for path, file in files(spec).items() if TOKEN in file["content"]]
    sent = spec.bacalhau.token and spec.bacalhau.secrets is Secrets.USER_DATA
    assert holding == (["/etc/bacalhau/token.env"] if sent else [])
    assert files(spec)["/etc/bacalhau/token.env"]["permissions"] == "0600"
    assert files(spec)["/etc/bacalhau/config.yaml"]["permissions"] == "0600"


def test_the_certificate_is_sent_when_tls_is_on() -> None:
    def sent(mode: TlsMode) -> str:
        spec = dataclasses.replace(FULL, bacalhau=dataclasses.replace(FULL.bacalhau, tls=mode))
        return str(files(spec)["/etc/bacalhau/ca.pem"]["content"])

    assert sent(TlsMode.NATIVE) == sent(TlsMode.PROXY) == CA
    assert sent(TlsMode.NONE) == ""


def test_the_users_files_come_last_and_once_the_user_exists() -> None:
    sent = read(FULL)["write_files"]
    assert [file["path"] for file in sent[-2:]] == ["/etc/motd", "/opt/x"]
    assert [file["permissions"] for file in sent[-2:]] == ["0644", "0755"]
    assert all(file["defer"] for file in sent[-2:])


def test_a_shortened_program_is_the_same_program() -> None:
    def code(source: str) -> str:
        tree = ast.parse(source)
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
                node.body = node.body[1:] or node.body
            if isinstance(node, ast.arg):
                node.annotation = None
            if isinstance(node, ast.FunctionDef):
                node.returns = None
        types = [
            node for node in tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        ]
        tree.body = [node for node in tree.body if node not in types]
        return ast.dump(tree)

    for script in (PACKAGE / "scripts").glob("*.py"):
        source = script.read_text("utf-8")
        if script.name != "__init__.py":
            assert code(minify.minify_python(source)) == code(source)
            assert len(minify.minify_python(source)) < 0.95 * len(source)


def test_the_inside_of_strings_is_not_shortened() -> None:
    inside = '"""a\n        b\n\n    # c\n"""'
    source = (
        f"if True:\n    text = {inside}\n    more = (\n        1,\n    )\n\n"
        "    def f(x: int, y: int = 1) -> int:\n        return (\n            2\n        )\n"
    )
    assert minify.minify_python(source) == (
        f"if True:\n text = {inside}\n more = (\n1,\n)\n def f(x, y = 1):\n  return (\n2\n)\n"
    )


def test_too_much_is_refused_by_name_before_anything_is_made() -> None:
    spec = dataclasses.replace(
        with_commands(noise(3000)),
    )
    spec = dataclasses.replace(
        spec,
        instance=dataclasses.replace(spec.instance, files=(NodeFile("/etc/big", noise(20000)),)),
    )
    with pytest.raises(UserError) as raised:
        render(spec, region="us-east-1")
    assert raised.value.exit_code is ExitCode.USAGE
    assert str(MAX_BYTES) in raised.value.what
    assert raised.value.details[0].startswith("the file /etc/big: ")
    assert raised.value.details[1].startswith("instance.additional_commands: ")


ODD = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.sampled_from(
    [
        "'",
        '"',
        "a: b",
        "${token_env}",
        "$HOME",
        "{{ v1.region }}",
        "#!x",
        "%s",
        "\\",
        "é",
        "😀",
        "- x",
        "\u2028",
        "~",
    ]
)


@given(name=ODD, prefix=ODD, user=ODD, key=ODD, label=ODD, text=ODD, path=ODD)
def test_odd_names_reach_the_node_unchanged(
    name: str, prefix: str, user: str, key: str, label: str, text: str, path: str
) -> None:
    spec = dataclasses.replace(
        PLAIN,
        name=name,
        naming=Naming(resource_prefix=prefix),
        username=user,
        public_key=key or None,
        bacalhau=BacalhauSpec(orchestrators=(text,), labels=((label, text),)),
        instance=InstanceSpec(additional_commands=text, files=(NodeFile(path, text),)),
    )
    config = read(spec)
    sent = config["write_files"]
    assert config["users"][0]["name"] == user
    assert config["users"][0].get("ssh_authorized_keys") == ([key] if key else None)
    assert (sent[-1]["path"], sent[-1]["content"]) == (path, text)
    assert sent[-2]["content"] == text
    bacalhau = yaml.safe_load(next(file["content"] for file in sent if file["path"].endswith("/config.yaml")))
    assert bacalhau["Compute"]["Orchestrators"] == [text]
    if label not in {"provider", "region", "cluster"}:
        assert bacalhau["Labels"][label] == text
    facts = json.loads(next(file["content"] for file in sent if file["path"].endswith("/node.json")))
    assert facts["name_prefix"] == prefix


def environment_file(text: str) -> dict[str, str]:
    """systemd.exec(5): in double quotes a backslash escapes the quote, itself, a backtick and a dollar."""
    files = {}
    for line in text.splitlines():
        name, _, value = line.partition("=")
        inside = value[1:-1]
        out, escaped = "", False
        for letter in inside:
            if escaped:
                out += letter if letter in '"\\`$' else "\\" + letter
                escaped = False
            elif letter == "\\":
                escaped = True
            else:
                assert letter != '"'
                out += letter
        files[name] = out
    return files


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
def test_any_token_reaches_bacalhau_unchanged(token: str) -> None:
    spec = dataclasses.replace(FULL, bacalhau=dataclasses.replace(FULL.bacalhau, token=Secret(token)))
    content = files(spec)["/etc/bacalhau/token.env"]["content"]
    assert environment_file(content) == {"BACALHAU_COMPUTE_AUTH_TOKEN": token}
