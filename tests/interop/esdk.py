"""Encrypts and decrypts with the AWS Encryption SDK for Python, as the test says.

Standard input: a JSON list of jobs. Standard output: a JSON list of outcomes in the same order, each either
{"context": ...} or {"error": ...}.
"""

import json
import logging
import sys

import aws_encryption_sdk
from aws_encryption_sdk.identifiers import Algorithm, CommitmentPolicy, EncryptionKeyType, WrappingAlgorithm
from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey
from aws_encryption_sdk.key_providers.raw import RawMasterKeyProvider
from cryptography.hazmat.primitives import serialization

CLIENT = aws_encryption_sdk.EncryptionSDKClient(
    commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
)
SUITES = {
    "0x0478": Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
    "0x0578": Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384,
}


def rsa_private(der):
    key = serialization.load_der_private_key(der, password=None)
    encoding, private_format = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    pem = key.private_bytes(encoding, private_format, serialization.NoEncryption())
    return WrappingKey(WrappingAlgorithm.RSA_OAEP_SHA256_MGF1, pem, EncryptionKeyType.PRIVATE)


def rsa_public(der):
    key = serialization.load_der_public_key(der)
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return WrappingKey(WrappingAlgorithm.RSA_OAEP_SHA256_MGF1, pem, EncryptionKeyType.PUBLIC)


def aes(key):
    algorithm = WrappingAlgorithm.AES_256_GCM_IV12_TAG16_NO_PADDING
    return WrappingKey(algorithm, key, EncryptionKeyType.SYMMETRIC)


KINDS = {"rsa-private": rsa_private, "rsa-public": rsa_public, "aes": aes}


def keyring(job):
    wrapping_key = KINDS[job["kind"]](bytes.fromhex(job["key"]))

    class Keyring(RawMasterKeyProvider):
        provider_id = job["namespace"]

        def _get_raw_key(self, key_id):
            return wrapping_key

    provider = Keyring()
    provider.add_master_key(job["name"])
    return provider


def encrypt(job, source):
    return CLIENT.encrypt(
        source=source,
        key_provider=keyring(job),
        algorithm=SUITES[job["suite"]],
        encryption_context=job["context"],
        frame_length=job["frame_length"],
    )


def decrypt(job, source):
    return CLIENT.decrypt(source=source, key_provider=keyring(job))


def run(job):
    with open(job["input"], "rb") as file:
        source = file.read()
    try:
        output, header = (encrypt if job["do"] == "encrypt" else decrypt)(job, source)
    except Exception as error:  # what is refused, and how, is for the test to judge
        return {"error": f"{type(error).__name__}: {error}"}
    with open(job["output"], "wb") as file:
        file.write(output)
    return {"context": dict(header.encryption_context)}


# What it refuses is in the outcome; it would also print a traceback for each.
logging.disable(logging.CRITICAL)
json.dump([run(job) for job in json.load(sys.stdin)], sys.stdout)
