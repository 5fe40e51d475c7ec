"""What a cluster's answers mean for a trial."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from servelab.kube.errors import ForbiddenError, RefusedError, UnreachableError
from servelab.spec.errors import DeployError, MachineError

WEBHOOK = (
    "OME's webhook does not answer: see kubectl get pods -n ome, and whether its certificate is there (cert-manager); "
    "servelab doctor --platform ome tells which. On a cluster of your own where the webhook cannot be reached, delete "
    "its configuration: kubectl delete mutatingwebhookconfiguration,validatingwebhookconfiguration "
    "inferenceservice.ome.io"
)

_INVALID = (400, 422)


@contextmanager
def reached() -> Iterator[None]:
    """Tell what is wrong with the cluster from what is wrong with the trial.

    Raises:
        MachineError: the cluster cannot be reached or has a difficulty of its own, which says nothing of the trial.
        DeployError: the cluster does not take the trial's objects as they are.
        ClusterError: anything else, as a missing right: it needs a person.
    """
    try:
        yield
    except UnreachableError as error:
        raise MachineError(error.message, error.remedy) from error
    except RefusedError as error:
        if "failed calling webhook" in error.message:
            raise MachineError(error.message, WEBHOOK) from error
        if error.transient:
            raise MachineError(error.message, error.remedy) from error
        if error.code in _INVALID or (isinstance(error, ForbiddenError) and "admission webhook" in error.message):
            raise DeployError(error.message, error.remedy) from error
        raise
