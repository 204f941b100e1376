"""Cut a plate out of a picture as if seen from the front, in the size that the reader expects."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from services.recognizer.results import Float, Image

CROP_WIDTH, CROP_HEIGHT = 160, 64
# The reader was trained on crops with a rim around the plate; without it, outer characters touch the border.
RIM = 0.07
OVERSAMPLE = 1.5  # pixels kept for each pixel of the crop before the last resampling


def box_corners(box: Float) -> Float:
    """Corners (4, 2) of x1, y1, x2, y2, clockwise from the upper left."""
    x1, y1, x2, y2 = (float(v) for v in box)
    return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float32)


def widened(corners: Float, rim: float = RIM) -> Float:
    """Move the corners outwards along the plate's own axes by `rim` of its width and height."""
    top_left, top_right, bottom_right, bottom_left = corners
    across = ((top_right - top_left) + (bottom_right - bottom_left)) / 2 * rim
    down = ((bottom_left - top_left) + (bottom_right - top_right)) / 2 * rim
    offsets = np.stack([-across - down, across - down, across + down, -across + down])
    result: Float = (corners + offsets).astype(np.float32)
    return result


def rectify(image: Image, corners: Float) -> npt.NDArray[np.uint8]:
    """Cut the quadrilateral `corners` (with a rim) out of a picture.

    Args:
        image: (height, width, 3) BGR.
        corners: (4, 2) pixels, clockwise from the upper left of the text.

    Returns:
        (64, 160) grey.
    """
    source = widened(corners)
    rows, columns = image.shape[:2]
    low = np.clip(np.floor(source.min(0)) - 2, 0, [columns - 2, rows - 2]).astype(int)
    high = np.clip(np.ceil(source.max(0)) + 2, low + 2, [columns, rows]).astype(int)
    region = cv2.cvtColor(image[low[1] : high[1], low[0] : high[0]], cv2.COLOR_BGR2GRAY)
    source = source - low.astype(np.float32)
    # Perspective sampling takes single pixels: shrink by area first, or large plates come out speckled.
    width = max(1.0, float(np.linalg.norm(source[1] - source[0])))
    height = max(1.0, float(np.linalg.norm(source[3] - source[0])))
    scale = min(1.0, OVERSAMPLE * max(CROP_WIDTH / width, CROP_HEIGHT / height))
    if scale < 1:
        size = (max(2, round(region.shape[1] * scale)), max(2, round(region.shape[0] * scale)))
        source = source * (np.array(size, np.float32) / np.array(region.shape[::-1], np.float32))
        region = cv2.resize(region, size, interpolation=cv2.INTER_AREA)
    target = (
        np.array([[0, 0], [CROP_WIDTH, 0], [CROP_WIDTH, CROP_HEIGHT], [0, CROP_HEIGHT]], np.float32) - 0.5
    )
    matrix = cv2.getPerspectiveTransform((source - 0.5).astype(np.float32), target)
    crop = cv2.warpPerspective(
        region, matrix, (CROP_WIDTH, CROP_HEIGHT), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(crop, np.uint8)
