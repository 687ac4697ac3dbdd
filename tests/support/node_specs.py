"""Specs to render: a plain one, a full one, and the variants that differ on a node."""

from __future__ import annotations

import dataclasses

from bacalhau_spot.core.model import (
    Arch,
    BacalhauSpec,
    ClusterSpec,
    InstanceSpec,
    Naming,
    NodeFile,
    RegionSpec,
    Secret,
    Secrets,
    TlsMode,
)

PUBLIC_KEY = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJhY2FsaGF1LXNwb3QtdGVzdHMtb25seS1ub3QtYS1rZXk someone@somewhere"
)
CA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
TOKEN = "s3cret-token"

PLAIN = ClusterSpec(name="demo", naming=Naming(), regions=(RegionSpec("us-east-1"),), nodes=1)
FULL = dataclasses.replace(
    PLAIN,
    public_key=PUBLIC_KEY,
    bacalhau=BacalhauSpec(
        orchestrators=("nats://one.example.com:4222", "nats://two.example.com:4223"),
        token=Secret(TOKEN),
        tls=TlsMode.NATIVE,
        ca_pem=CA,
        sha256=((Arch.X86_64, "0" * 64), (Arch.ARM64, "1" * 64)),
        labels=(("team", "data"),),
    ),
    instance=InstanceSpec(
        additional_commands="#!/bin/sh\necho done\n",
        files=(NodeFile("/etc/motd", "A node\n"), NodeFile("/opt/x", "", mode="0755")),
    ),
)
VARIANTS = {
    "plain": PLAIN,
    "full": FULL,
    "ssm": dataclasses.replace(FULL, bacalhau=dataclasses.replace(FULL.bacalhau, secrets=Secrets.SSM)),
    **{
        f"tls {mode}": dataclasses.replace(FULL, bacalhau=dataclasses.replace(FULL.bacalhau, tls=mode))
        for mode in TlsMode
    },
}
