#!/usr/bin/env python3
"""Puts a file into an S3 bucket with one request, signed as AWS Signature Version 4 prescribes.

docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html. A single request carries at most 5 GB.
"""

import datetime
import hashlib
import hmac
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

MAX_BYTES = 5 * 10**9
TIMEOUT = 3600.0  # seconds


def signed(url: str, digest: str, key: str, secret: str, region: str, now: datetime.datetime) -> dict[str, str]:
    """The headers of a signed PUT of content with this SHA-256 digest."""
    parts = urllib.parse.urlsplit(url)
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    headers = {"host": parts.netloc, "x-amz-content-sha256": digest, "x-amz-date": stamp}
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = f"PUT\n{parts.path}\n\n{lines}\n{names}\n{digest}"
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signing = f"AWS4{secret}".encode()
    for part in (*scope.split("/"), to_sign):
        signing = hmac.new(signing, part.encode(), hashlib.sha256).digest()
    authorization = f"AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={names}, Signature={signing.hex()}"
    return {**{name: value for name, value in headers.items() if name != "host"}, "Authorization": authorization}


def put(file: Path, url: str, key: str, secret: str, region: str) -> None:
    """Send ``file`` to ``url``.

    Raises:
        OSError: it cannot be read, or the server refuses it.
    """
    size = file.stat().st_size
    if size > MAX_BYTES:
        raise OSError(f"{file} has {size:,} bytes; one request carries at most {MAX_BYTES:,}. Upload fewer paths")
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    headers = signed(url, digest, key, secret, region, datetime.datetime.now(datetime.UTC))
    headers |= {"Content-Length": str(size), "Content-Type": "application/gzip"}
    with file.open("rb") as content:
        request = urllib.request.Request(url, data=content, headers=headers, method="PUT")  # noqa: S310
        with urllib.request.urlopen(request, timeout=TIMEOUT):  # noqa: S310 - the address is the user's own
            pass


def main() -> None:
    """Upload FILE as NAME to BUCKET of ENDPOINT; the credentials are files in CREDENTIALS."""
    variables = os.environ
    endpoint = variables["ENDPOINT"].rstrip("/")
    if not endpoint.startswith(("https://", "http://")):
        sys.exit(f"upload: the endpoint {endpoint!r} is no http or https address")
    url = f"{endpoint}/{urllib.parse.quote(variables['BUCKET'])}/{urllib.parse.quote(variables['NAME'])}"
    if variables.get("DEBUG") == "true":
        print(f"would upload {variables['FILE']} to {url}")
        return
    credentials = Path(variables["CREDENTIALS"])
    try:
        key, secret = (
            (credentials / name).read_text(encoding="utf-8").strip()
            for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        )
        put(Path(variables["FILE"]), url, key, secret, variables["REGION"])
    except urllib.error.HTTPError as error:
        sys.exit(f"upload: {url} answered {error.code} {error.reason}: {error.read(2000).decode(errors='replace')}")
    except OSError as error:
        sys.exit(f"upload: {error}")
    print(f"uploaded {url}")


if __name__ == "__main__":
    main()
