"""What to do about what is missing, in the order in which it is installed.

Sources: OME's installation guide and charts, and what was met when it was installed by hand.
"""

from __future__ import annotations

CERT_MANAGER = (
    "OME's webhooks need certificates. Install it before OME:\n"
    "helm repo add jetstack https://charts.jetstack.io\n"
    "helm install cert-manager jetstack/cert-manager -n cert-manager --create-namespace --set crds.enabled=true"
)
KEDA = (
    "OME's controller stops at 'no kind is registered for the type v1alpha1.ScaledObject' without it:\n"
    "helm repo add kedacore https://kedacore.github.io/charts\n"
    "helm install keda kedacore/keda -n keda --create-namespace\n"
    "kubectl rollout restart deployment/ome-controller-manager -n ome   # it looks for the kinds only when it starts"
)
OME = (
    "Install cert-manager and KEDA first, then OME, from a clone of https://github.com/sgl-project/ome:\n"
    "helm upgrade --install ome-crd charts/ome-crd -n ome --create-namespace\n"
    "helm upgrade --install ome charts/ome-resources -n ome --timeout 7m"
)
CONTROLLER = (
    "kubectl get pods -n {namespace} -l control-plane=ome-controller-manager\n"
    "kubectl logs -n {namespace} deployment/ome-controller-manager\n"
    "'no kind is registered': install what is missing, then kubectl rollout restart deployment/ome-controller-manager "
    "-n {namespace}"
)
WEBHOOK = (
    "Is the controller ready, and its certificate issued (kubectl get certificate -n ome)? Can the API server reach "
    "pods?\nOn a cluster of your own where it cannot, go without: kubectl delete "
    "mutatingwebhookconfiguration,validatingwebhookconfiguration inferenceservice.ome.io"
)
MODELS = (
    "Create one: platform.options.model.preset in the study, or from the clone of OME: "
    "kubectl apply -f config/models/...\n"
    "Its modelFormat, modelFramework and modelArchitecture must not be empty, or no runtime fits it."
)
RUNTIMES = (
    "Create one: platform.options.runtime.preset in the study, or from the clone of OME: "
    "kubectl apply -f config/runtimes/..."
)
ACCELERATORS = (
    "Is the device plugin running (kubectl get pods -A | grep device-plugin), and the nodes' container runtime set up "
    "for it?\nMinikube with its docker driver cannot pass GPUs on: use --driver=none, kind, k3s, or real nodes."
)
