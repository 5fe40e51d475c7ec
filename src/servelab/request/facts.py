"""What a dialog knows before anything is said; whoever starts it finds out, so that the dialog itself has no I/O."""

from __future__ import annotations

from datetime import date

from servelab.request.values import OWN, Values, own_values, read_values
from servelab.spec.base import Spec


class Facts(Spec):
    """The day, the values file, and what is known of the cluster or machine; None where nothing is known."""

    today: date
    values_text: str = ""
    """Text of the values file; empty: servelab's own."""
    values_source: str = OWN
    namespace: str | None = None
    """Of the current context of the kubeconfig."""
    local_accelerators: int | None = None
    """Accelerators of this machine."""
    cluster_accelerators: int | None = None
    """Accelerators of the cluster that one engine could have now."""
    taken: tuple[str, ...] = ()
    """Names of experiments that exist."""

    @property
    def values(self) -> Values:
        """What the values file says.

        Raises:
            DocumentError: it lacks a part of the structure.
        """
        return read_values(self.values_text, self.values_source) if self.values_text else own_values()
