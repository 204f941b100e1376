"""Put a flat picture into a scene: perspective, matching sharpness, light and soft edges."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Float = npt.NDArray[np.float32]
FINEST = 0.8  # scale below which a texture must be blurred before sampling, or it flickers
SOFTEST = 0.05


def put(
    scene: Image,
    texture: Float,
    source: Float,
    target: Float,
    *,
    alpha: Float | None = None,
    light: float = 1.0,
    soften: float = 0.0,
) -> bool:
    """Warp `texture` so that the quadrilateral `source` of it lands on `target`, and blend it in place.

    Args:
        scene: (height, width, 3) BGR, changed in place.
        texture: (h, w, 3) BGR, 0 to 255.
        source: (4, 2) pixels of the texture.
        target: (4, 2) pixels of the scene, same order.
        alpha: (h, w) opacity, 0 to 1; opaque by default.
        light: factor on the texture.
        soften: deviation in pixels of a blur over the result.

    Returns:
        False where the target lies outside the picture and nothing was drawn.
    """  # fmt: skip
    h, w = texture.shape[:2]
    matrix = cv2.getPerspectiveTransform(source.astype(np.float32), target.astype(np.float32))
    frame = np.array([[[0, 0], [w, 0], [w, h], [0, h]]], np.float32)
    hull = cv2.perspectiveTransform(frame, matrix)[0]
    rows, columns = scene.shape[:2]
    x0, y0 = np.clip(np.floor(hull.min(0)) - 3, 0, [columns, rows]).astype(int)
    x1, y1 = np.clip(np.ceil(hull.max(0)) + 3, 0, [columns, rows]).astype(int)
    if x1 - x0 < 4 or y1 - y0 < 4:
        return False
    scale = float(
        np.linalg.norm(target[1] - target[0]) / max(1e-3, float(np.linalg.norm(source[1] - source[0])))
    )
    opacity = np.ones((h, w), np.float32) if alpha is None else alpha
    if scale < FINEST:
        deviation = 0.42 * (1 / max(scale, SOFTEST) - 0.6)
        texture = np.asarray(cv2.GaussianBlur(texture, (0, 0), deviation), np.float32)
    shift = np.array([[1, 0, -x0], [0, 1, -y0], [0, 0, 1]], np.float64)
    size = (int(x1 - x0), int(y1 - y0))
    share = cv2.warpPerspective(opacity, shift @ matrix, size)[..., None]
    colour = cv2.warpPerspective(texture, shift @ matrix, size, borderMode=cv2.BORDER_REPLICATE)
    region = scene[y0:y1, x0:x1].astype(np.float32)
    mixed = region * (1 - share) + colour * light * share
    if soften > 0:
        mixed = cv2.GaussianBlur(mixed, (0, 0), soften)
    scene[y0:y1, x0:x1] = np.clip(mixed, 0, 255).astype(np.uint8)
    return True
