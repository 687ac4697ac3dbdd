"""The client's variables arrive in a shell as they are, whatever characters they have, and none of before remains."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from bacalhau_spot.core.orchestrator.client_environment import (
    CA_FILE,
    HOST,
    KEY,
    PASSWORD,
    PORT,
    USE_TLS,
    USER,
    VARIABLES,
    ClientEnvironment,
    Shell,
    client_environment,
    shell_lines,
    shell_of,
    unprintable,
)

AWKWARD = [
    "plain-0123456789",
    'it\'s "quoted" $HOME `id` \\ $(id) \\n %PATH% !history',
    "' OR '1'='1",
    "''",
    "\\'",
    "\\",
    "ends with a backslash\\",
    "\u2018smart\u2019 \u201aquotes\u201b",
    "пароль-日本語-é",
    "-n --flag ; rm -rf ~ & | < > * ? [a] {b,c} #",
    " blanks at both ends ",
]
PRINT = "import json, os; print(json.dumps({k: v for k, v in os.environ.items() if k.startswith('BACALHAU_API')}))"
PROGRAMS = {Shell.BASH: ("bash", "sh", "zsh"), Shell.FISH: ("fish",), Shell.POWERSHELL: ("pwsh",)}
FLAGS = {
    "bash": ["--norc", "-c"],
    "sh": ["-c"],
    "zsh": ["-f", "-c"],
    "fish": ["--no-config", "-c"],
    "pwsh": ["-NoProfile", "-c"],
}
# How a user's shell reads the lines from the command's output.
READ = {
    "bash": 'eval "$(cat)"',
    "sh": 'eval "$(cat)"',
    "zsh": 'eval "$(cat)"',
    "fish": "source",
    "pwsh": "$input | Out-String | Invoke-Expression",
}


def told_to(program: str, lines: str) -> dict[str, str]:
    """The variables of a program that the shell starts after the lines; before them each has an old value."""
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed")
    call = f"& '{sys.executable}'" if program == "pwsh" else f"'{sys.executable}'"
    result = subprocess.run(
        [path, *FLAGS[program], f'{READ[program]}\n{call} -c "{PRINT}"'],
        input=lines,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={
            "PATH": os.environ["PATH"],
            "HOME": "/nowhere",
            "LANG": "C.UTF-8",
            **dict.fromkeys(VARIABLES, "old"),
        },
    )
    assert result.stderr == ""
    found: dict[str, str] = json.loads(result.stdout)
    return found


@pytest.mark.parametrize("value", AWKWARD)
@pytest.mark.parametrize(
    ("shell", "program"), [(shell, program) for shell, programs in PROGRAMS.items() for program in programs]
)
def test_a_shell_takes_every_value_as_it_is(shell: Shell, program: str, value: str) -> None:
    environment = client_environment(
        "https://o.example:1234", user=value, password=value[::-1], ca_file=f"/tmp/{value}"
    )
    assert told_to(program, shell_lines(environment, shell)) == {
        HOST: "https://o.example:1234",
        USE_TLS: "true",
        CA_FILE: f"/tmp/{value}",
        USER: value,
        PASSWORD: value[::-1],
    }


def test_powershell_doubles_all_its_single_quotes() -> None:
    """PowerShell is rarely installed here."""
    lines = shell_lines(ClientEnvironment({KEY: "a'b\u2018c\u2019d\u201ae\u201bf$g`h\"i"}), Shell.POWERSHELL)
    assert (
        lines.splitlines()[0]
        == f"$env:{KEY} = 'a''b\u2018\u2018c\u2019\u2019d\u201a\u201ae\u201b\u201bf$g`h\"i'"
    )
    assert f"Remove-Item Env:{HOST} -ErrorAction Ignore" in lines


def test_a_key_and_a_user_are_never_set_together() -> None:
    """The client refuses both. Each variable is either set or removed."""
    keyed = client_environment("https://o:1234", key="k", user="u", password="p")
    named = client_environment("https://o:1234", user="u", password="p")
    for environment in (keyed, named, client_environment("http://o:1234")):
        assert sorted((*environment.values, *environment.removed)) == sorted(VARIABLES)
        assert PORT in environment.removed, "the URL has the port"
    assert (KEY in keyed.values, USER in keyed.removed, PASSWORD in keyed.removed) == (True, True, True)
    assert (named.values[USER], named.values[PASSWORD], KEY in named.removed) == ("u", "p", True)


def test_without_tls_there_is_no_authority() -> None:
    environment = client_environment("http://127.0.0.1:1234", ca_file="/a/ca.pem")
    assert environment.values == {HOST: "http://127.0.0.1:1234", USE_TLS: "false"}


@pytest.mark.parametrize("value", ["two\nlines", "a\x1b[31m", "null\0", "tab\t", "bidi\u202e"])
def test_a_value_that_no_text_can_carry_is_found(value: str) -> None:
    assert unprintable(client_environment("https://o:1234", key=value)) == (KEY,)


@pytest.mark.parametrize(
    ("path", "shell"),
    [
        ("", Shell.BASH),
        ("/bin/bash", Shell.BASH),
        ("/usr/bin/zsh", Shell.BASH),
        ("/usr/bin/fish", Shell.FISH),
        ("fish", Shell.FISH),
        ("/usr/bin/pwsh", Shell.POWERSHELL),
        (r"C:\\Program Files\\PowerShell\\7\\pwsh.exe", Shell.POWERSHELL),
        ("/opt/fish/bin/bash", Shell.BASH),
    ],
)
def test_the_shell_is_known_by_its_name(path: str, shell: Shell) -> None:
    assert shell_of(path) is shell
