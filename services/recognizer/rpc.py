"""The RPCs of ``recognizer``: single pictures, cameras followed, what is loaded. Nothing is stored."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

import grpc

from plateward.common.v1 import errors_pb2
from plateward.recognizer.v1 import recognizer_pb2
from servicekit.errors import PlatewardError
from services.recognizer import to_proto
from services.recognizer.decode import ImageError, ImageTooLargeError
from services.recognizer.loading import Loaded
from services.recognizer.pictures import plate_picture, vehicle_picture
from services.recognizer.results import Image, PlateRead, VehicleRead
from services.recognizer.session import Session, Step
from services.recognizer.settings import RecognizerSettings
from services.recognizer.streams import End, Intake
from services.recognizer.workers import Workers

Context = grpc.aio.ServicerContext[Any, Any]
_Answer = recognizer_pb2.RecognizeStreamResponse


class RecognizerServicer:
    """Pictures in, plates and vehicles out."""

    def __init__(
        self,
        settings: RecognizerSettings,
        workers: Workers,
        draining: asyncio.Event,
        loaded: asyncio.Future[Loaded],
    ) -> None:
        self._settings, self._workers, self._draining = settings, workers, draining
        self._loaded = loaded
        self._streams = 0

    async def Recognize(
        self, request: recognizer_pb2.RecognizeRequest, context: Context
    ) -> recognizer_pb2.RecognizeResponse:
        """Read one picture."""
        if len(request.image) > self._settings.image_most_bytes:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_IMAGE_TOO_LARGE,
                f"the picture has more than {self._settings.image_most_bytes:,} bytes: scale it down or compress it more",
            )
        return await self._workers.run_if_room(partial(_recognized, self._ready(), request))

    async def RecognizeStream(
        self, request: AsyncIterator[recognizer_pb2.RecognizeStreamRequest], context: Context
    ) -> AsyncIterator[_Answer]:
        """Follow one camera; see ``streams.py`` for what is promised."""
        if self._streams >= self._settings.streams_most:
            raise PlatewardError(
                errors_pb2.ERROR_REASON_OVERLOADED,
                "this replica follows as many cameras as it may: try another one",
                retry_after=2.0,
            )
        self._streams += 1
        try:
            async for answer in self._follow(request):
                yield answer
        finally:
            self._streams -= 1

    async def GetModels(
        self, request: recognizer_pb2.GetModelsRequest, context: Context
    ) -> recognizer_pb2.GetModelsResponse:
        """Say what is loaded."""
        return self._ready().models

    def _ready(self) -> Loaded:
        if not self._loaded.done():
            raise PlatewardError(
                errors_pb2.ERROR_REASON_OVERLOADED,
                "the models are being loaded: try again after the delay given",
                retry_after=1.0,
            )
        return self._loaded.result()

    async def _follow(
        self, messages: AsyncIterator[recognizer_pb2.RecognizeStreamRequest]
    ) -> AsyncIterator[_Answer]:
        settings = self._settings
        intake = Intake(
            messages,
            most=settings.stream_queue_most,
            image_most=settings.image_most_bytes,
            idle_s=settings.stream_idle_seconds,
        )
        camera_id, loaded = await intake.open(), self._ready()
        session = Session(
            camera_id,
            loaded.pipeline,
            decode=loaded.decode,
            gap=timedelta(seconds=settings.pass_gap_seconds),
            longest=timedelta(seconds=settings.pass_longest_seconds),
        )
        taking = asyncio.create_task(intake.run())
        try:
            while (item := await intake.next(self._draining)) is not None:
                work = (
                    partial(session.end, item.number)
                    if isinstance(item, End)
                    else partial(session.step, item)
                )
                step: Step = await self._workers.run(work, camera_id)
                for each in step.sightings:
                    yield _Answer(sighting=each, dropped=intake.dropped)
                yield _Answer(
                    settled_through=step.settled_through, dropped=intake.dropped, warning=step.warning[:500]
                )
        finally:
            taking.cancel()
            with suppress(asyncio.CancelledError):
                await taking


def _recognized(loaded: Loaded, request: recognizer_pb2.RecognizeRequest) -> recognizer_pb2.RecognizeResponse:
    begun = time.perf_counter()
    try:
        image = loaded.decode(request.image)
    except ImageTooLargeError as error:
        raise PlatewardError(errors_pb2.ERROR_REASON_IMAGE_TOO_LARGE, str(error)) from error
    except ImageError as error:
        raise PlatewardError(errors_pb2.ERROR_REASON_IMAGE_INVALID, str(error)) from error
    found = loaded.pipeline.recognize(image)
    response = recognizer_pb2.RecognizeResponse(
        model_version=found.model_version, width=image.shape[1], height=image.shape[0]
    )
    plates = sorted(found.plates, key=lambda p: -p.confidence)
    response.plates.extend(to_proto.plate(p) for p in plates)
    response.vehicles.extend(to_proto.vehicle(v) for v in found.vehicles)
    if request.with_crops:
        response.crops.extend(_crops(image, plates, found.vehicles))
    response.took_ms = (time.perf_counter() - begun) * 1000
    return response


def _crops(
    image: Image, plates: Sequence[PlateRead], vehicles: Sequence[VehicleRead]
) -> list[recognizer_pb2.Crop]:
    made = [(i, plate_picture(image, plate)) for i, plate in enumerate(plates)]
    made += [(i, vehicle_picture(image, vehicle, vehicles)) for i, vehicle in enumerate(vehicles)]
    return [recognizer_pb2.Crop(kind=kind, jpeg=jpeg, index=i) for i, (kind, jpeg) in made]
