"""Container images: a tag alone is of the default image, and the init container follows the main one."""

from __future__ import annotations

import re

from servelab.request.said import Images
from servelab.request.values import Values

_TAG = re.compile(r":?(v?\d[A-Za-z0-9._-]*|latest|nightly|main)")


def complete_images(said: Images, values: Values) -> Images:
    """Both images in full: what was said, on top of the values file's.

    The init container takes the main one's image unless another was named: it prepares libraries for the same Python.
    """
    main = values.image if said.main is None else _complete(said.main, values.image)
    if said.init is None:
        init = main if said.main is not None else values.init_image
    else:
        init = _complete(said.init, values.init_image or values.image)
    return Images(main=main, init=init)


def _complete(said: str, default: str) -> str:
    """``said`` in full: ``0.8.0`` and ``v0.8.0`` are tags of the default image, ``default`` is that image."""
    if said == "default":
        return default
    tag = _TAG.fullmatch(said)
    if tag is None:
        return said
    return f"{_untagged(default)}:{re.sub(r'^(?=[0-9])', 'v', tag[1])}"


def _untagged(image: str) -> str:
    name, _, _ = image.partition("@")
    head, slash, last = name.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"
