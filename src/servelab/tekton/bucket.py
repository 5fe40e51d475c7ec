"""Results that a run uploaded to an S3 bucket: one archive for each treatment."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from servelab.kube.archive import unpack
from servelab.kube.copy import PART
from servelab.spec.errors import ClusterError, NotFoundError
from servelab.tekton.experiment import VALUES, Experiment
from servelab.tekton.values import read_mapping

if TYPE_CHECKING:
    from obstore.store import S3Store

CONNECT, SILENCE = timedelta(seconds=10), timedelta(seconds=60)
CHUNK = 2**20  # bytes
ENDING = ".tar.gz"


@dataclass(frozen=True)
class Bucket:
    """A bucket and the address of its S3 service."""

    name: str
    endpoint: str
    region: str


def bucket_of(experiment: Experiment) -> Bucket:
    """Where a run uploads its results, as its values say.

    Raises:
        NotFoundError: they say nothing of a bucket.
    """
    target = read_mapping(experiment.values, VALUES).get("upload_target")
    given: Any = target.get("configuration") if isinstance(target, dict) and target.get("type") == "s3" else None
    if not isinstance(given, dict) or not {"bucket", "endpoint"} <= given.keys():
        raise NotFoundError(
            f"run {experiment.name} uploads nothing to a bucket: its values have no upload_target of type s3",
            "Leave --s3 out: its results are on the data volume.",
        )
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    return Bucket(str(given["bucket"]), str(given["endpoint"]).rstrip("/"), region)


def open_bucket(bucket: Bucket) -> S3Store:
    """The bucket, with the credentials of the environment (``AWS_ACCESS_KEY_ID``, ..., or the machine's own role).

    Raises:
        ClusterError: the library for it is not installed.
    """
    try:
        from obstore.store import S3Store
    except ImportError:
        raise ClusterError("reading from S3 needs obstore", "pip install 'servelab[s3]'") from None
    plain = bucket.endpoint.startswith("http://")
    return S3Store(
        bucket.name,
        endpoint=bucket.endpoint,
        region=bucket.region,
        client_options={"allow_http": plain, "connect_timeout": CONNECT, "read_timeout": SILENCE},
        retry_config={"max_retries": 3, "retry_timeout": timedelta(minutes=3)},
    )


async def fetch(
    store: S3Store, name: str, directory: Path, progress: Callable[[int, int], object] | None = None
) -> list[Path] | None:
    """The files of the archive ``name.tar.gz``, below ``directory``; None when the bucket has no such archive.

    The archive is kept beside the directory; one that is there already is not fetched again, and one of which a part
    is there from where that ends. ``progress`` is told bytes done and bytes in all.

    Raises:
        ClusterError: the bucket cannot be read, or the archive is damaged.
    """
    archive = directory.with_name(f"{directory.name}{ENDING}")
    archive.parent.mkdir(parents=True, exist_ok=True)
    with _translated(name):
        if not await _download(store, f"{name}{ENDING}", archive, progress):
            return None

    def below(path: str) -> str | None:
        return path.removeprefix(f"{name}/") if path.startswith(f"{name}/") else None

    directory.mkdir(parents=True, exist_ok=True)
    with archive.open("rb") as opened:
        paths = await asyncio.to_thread(unpack, opened, directory, below)
    return [directory / path for path in paths]


async def _download(store: S3Store, key: str, archive: Path, progress: Callable[[int, int], object] | None) -> bool:
    import obstore

    try:
        found = await obstore.head_async(store, key)
    except (FileNotFoundError, obstore.exceptions.NotFoundError):
        return False
    size = found["size"]
    if archive.exists() and archive.stat().st_size == size:
        return True
    part = archive.with_name(f"{archive.name}{PART}")
    offset = part.stat().st_size if part.exists() and part.stat().st_size < size else 0
    with part.open("ab") as opened:
        opened.truncate(offset)
        answer = await obstore.get_async(store, key, options={"range": {"offset": offset}, "if_match": found["e_tag"]})
        async for data in answer.stream(min_chunk_size=CHUNK):
            opened.write(data)
            if progress:
                progress(opened.tell(), size)
    if part.stat().st_size != size:
        part.unlink()
        raise ClusterError(
            f"{key} arrived with another length than it has in the bucket", "Run the same command again."
        )
    part.replace(archive)
    return True


@contextmanager
def _translated(name: str) -> Iterator[None]:
    from obstore import exceptions

    try:
        yield
    except (PermissionError, exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
        raise ClusterError(
            f"the bucket refuses to give {name}{ENDING}",
            "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of somebody who may read it.",
        ) from error
    except exceptions.BaseError as error:
        told = str(error).partition("\n")[0][:300]
        raise ClusterError(
            f"the bucket cannot be read: {told}",
            "Check upload_target in the values, AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
        ) from error
