"""Calculates launch measurements and ID blocks with sev-snp-measure, as the test says.

Standard input: a JSON list of jobs. Standard output: a JSON list of outcomes in the same order, each either
{"measurement": ...}, the parts of an ID block, or {"error": ...}.
"""

import base64
import json
import sys

from sevsnpmeasure import guest, id_block, vcpu_types, vmm_types
from sevsnpmeasure.sev_mode import SevMode

VMMS = {
    "qemu": vmm_types.VMMType.QEMU,
    "ec2": vmm_types.VMMType.ec2,
    "gce": vmm_types.VMMType.gce,
}


def launch(job):
    digest = guest.calc_launch_digest(
        SevMode.SEV_SNP,
        job["vcpus"],
        vcpu_types.CPU_SIGS[job["vcpu_type"]],
        job["ovmf"],
        job["kernel"],
        job["initrd"],
        job["append"],
        job["guest_features"],
        vmm_type=VMMS[job["vmm"]],
    )
    return {"measurement": digest.hex()}


def block(job):
    lines = id_block.snp_calc_id_block(bytes.fromhex(job["measurement"]), job["id_key"], job["author_key"]).split("\n")
    parts, id_key, author_key = lines
    made, auth = parts.split(",")
    decoded = {
        "id_block": made.removeprefix("id-block="),
        "id_auth": auth.removeprefix("id-auth="),
        "id_key_digest": id_key.removeprefix("id_key_hash: "),
        "author_key_digest": author_key.removeprefix("author_key: "),
    }
    return {name: base64.b64decode(value).hex() for name, value in decoded.items()}


def run(job):
    try:
        return (block if "id_key" in job else launch)(job)
    except Exception as error:  # what is refused, and how, is for the test to judge
        return {"error": f"{type(error).__name__}: {error}"}


json.dump([run(job) for job in json.load(sys.stdin)], sys.stdout)
