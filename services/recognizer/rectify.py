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
    """Cut the quadrilateral `corners` (with a rim) out of a picture, for the reader.

    Args:
        image: (height, width, 3) BGR.
        corners: (4, 2) pixels, clockwise from the upper left of the text.

    Returns:
        (64, 160) grey.
    """
    return cut(image, corners, (CROP_WIDTH, CROP_HEIGHT), RIM, grey=True)


def cut(
    image: Image, corners: Float, size: tuple[int, int], rim: float, *, grey: bool
) -> npt.NDArray[np.uint8]:
    """Cut a quadrilateral out of a picture, grown by a rim, as a rectangle.

    Args:
        image: (height, width, 3) BGR.
        corners: (4, 2) pixels, clockwise from the upper left.
        size: width and height of the result.
        rim: share of width and height that is added on each side.
        grey: without colour.

    Returns:
        (height, width), or (height, width, 3) BGR.
    """
    source, (out_width, out_height) = widened(corners, rim), size
    rows, columns = image.shape[:2]
    low = np.clip(np.floor(source.min(0)) - 2, 0, [columns - 2, rows - 2]).astype(int)
    high = np.clip(np.ceil(source.max(0)) + 2, low + 2, [columns, rows]).astype(int)
    region = image[low[1] : high[1], low[0] : high[0]]
    if grey:
        region = np.asarray(cv2.cvtColor(region, cv2.COLOR_BGR2GRAY), np.uint8)
    source = source - low.astype(np.float32)
    # Perspective sampling takes single pixels: shrink by area first, or large plates come out speckled.
    width = max(1.0, float(np.linalg.norm(source[1] - source[0])))
    height = max(1.0, float(np.linalg.norm(source[3] - source[0])))
    scale = min(1.0, OVERSAMPLE * max(out_width / width, out_height / height))
    if scale < 1:
        shrunk = (max(2, round(region.shape[1] * scale)), max(2, round(region.shape[0] * scale)))
        source = source * (np.array(shrunk, np.float32) / np.array(region.shape[1::-1], np.float32))
        region = np.asarray(cv2.resize(region, shrunk, interpolation=cv2.INTER_AREA), np.uint8)
    target = np.array([[0, 0], [out_width, 0], [out_width, out_height], [0, out_height]], np.float32) - 0.5
    matrix = cv2.getPerspectiveTransform((source - 0.5).astype(np.float32), target)
    crop = cv2.warpPerspective(region, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(crop, np.uint8)
