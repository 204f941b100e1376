"""``make bench-recognizer``: what reading costs, in process and as a service, and how many cameras this machine carries.

1. One core, in process: 1280 x 720 JPEG to result, where the time goes, and what batches, another decoder and decoding at
   half size would change.
2. The service on that core beside the pipeline in process, turn by turn in the same run: images a second, p50 and p99;
   start to SERVING; resident memory.
3. Cameras at 5 frames a second on all cores: how many are followed before frames are dropped or answers are late.

Where other programs use the machine, times of the wall clock vary: best and median are both printed, and CPU time, which
waiting does not lengthen.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import grpc
import numpy as np
import uvloop

from plateward.recognizer.v1 import recognizer_pb2, recognizer_pb2_grpc
from scenes.clip import Clip
from services.recognizer.decode import decode
from services.recognizer.detect import INPUT_HEIGHT, INPUT_WIDTH, as_input, letterbox
from services.recognizer.engine import Engine
from services.recognizer.pipeline import MODELS_FOLDER, Models, Pipeline
from services.recognizer.read import normalise
from services.recognizer.rectify import rectify
from services.recognizer.vehicle import ColourReader
from tests.common.recognizer import RunningRecognizer, recognizer

ROUNDS, EACH = 6, 60
CAMERA_FPS, CAMERA_S, LATE_S = 5, 8.0, 1.0
Measure = tuple[float, float, float]  # best and median of the wall clock, best of CPU time, ms


def timed(work: Callable[[], object], *, least: int = 15, seconds: float = 0.6) -> Measure:
    """Return best and median milliseconds of a call, and the best of its CPU time."""
    took: list[float] = []
    cpu: list[float] = []
    while len(took) < least or sum(took) < seconds * 1000:
        begun, begun_cpu = time.perf_counter(), time.thread_time()
        work()
        cpu.append((time.thread_time() - begun_cpu) * 1000)
        took.append((time.perf_counter() - begun) * 1000)
    return min(took), statistics.median(took), min(cpu)


def row(name: str, value: Measure, note: str = "") -> None:
    print(f"  {name:<44}{value[0]:8.2f}{value[1]:10.2f}{value[2]:10.2f}   {note}", flush=True)


def stages(jpegs: list[bytes]) -> None:
    """Print where the time of one picture goes, and what was tried instead."""
    models = Models.load(MODELS_FOLDER)
    pipeline = Pipeline.load()
    detector, reader = Engine(models.detector), Engine(models.reader)
    images = [decode(j) for j in jpegs]
    found = [pipeline.recognize(i) for i in images]
    jpeg, image, seen = max(
        zip(jpegs, images, found, strict=True), key=lambda t: (len(t[2].plates), len(t[2].vehicles))
    )
    fitted, _ = letterbox(image, INPUT_WIDTH, INPUT_HEIGHT)
    half = cv2.resize(fitted, (INPUT_WIDTH // 2, INPUT_HEIGHT // 2), interpolation=cv2.INTER_AREA)
    first, second = as_input(fitted), as_input(np.asarray(half, np.uint8))
    print(
        f"\none core, one picture ({len(seen.plates)} plates, {len(seen.vehicles)} vehicles), ms       best    median       CPU"
    )
    decoding = timed(lambda: decode(jpeg))
    row("decode JPEG", decoding)
    row(
        "  the same by OpenCV, which hides truncation",
        timed(lambda: cv2.imdecode(np.frombuffer(jpeg, np.uint8), 1)),
    )
    half = timed(lambda: cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_REDUCED_COLOR_2))
    row("  at half size (DCT 1/2)", half, f"{half[2] / decoding[2]:.2f} of the time, a quarter of the pixels")
    row("fit to 640 x 384", timed(lambda: letterbox(image, INPUT_WIDTH, INPUT_HEIGHT)))
    row("to the network's form", timed(lambda: as_input(fitted)))
    one = timed(lambda: detector.run(first))
    row("detector, first look", one)
    row("detector, second look", timed(lambda: detector.run(second)))
    vehicles = Engine(models.files["vehicles"])
    row("vehicle network", timed(lambda: vehicles.run(second)))
    four = np.repeat(first, 4, 0)
    batch = timed(lambda: detector.run(four))
    ratio = batch[2] / 4 / one[2]
    row(
        "  four pictures in a batch, each",
        (batch[0] / 4, batch[1] / 4, batch[2] / 4),
        f"{ratio:.2f} of one alone: so no batches on CPU",
    )
    if seen.plates:
        corners = seen.plates[0].corners
        crop = rectify(image, corners)
        row("rectify a plate", timed(lambda: rectify(image, corners)))
        inputs = normalise(crop[None])
        row("reader, network", timed(lambda: reader.run(inputs)))
        row("read a plate (with its beam search)", timed(lambda: pipeline._reader.read([crop])))
        if pipeline._states is not None:
            states, plate = pipeline._states, pipeline._states.crop(image, corners)
            row("issuing state of a plate", timed(lambda: states.read([plate])))
    if seen.vehicles:
        x, y, w, h = seen.vehicles[0].box
        colours, box = (
            ColourReader(Engine(models.files["colour"]), temperature=1.0),
            np.array([x, y, x + w, y + h], np.float32),
        )
        row("colour of a vehicle", timed(lambda: colours.read(image, [box])))
    whole = timed(lambda: pipeline.recognize(decode(jpeg)), seconds=2)
    row("all: JPEG to result", whole, f"{1000 / whole[2]:.0f} images a CPU second")
    empty = min(zip(jpegs, found, strict=True), key=lambda t: (len(t[1].plates), len(t[1].vehicles)))[0]
    nothing = timed(lambda: pipeline.recognize(decode(empty)), seconds=2)
    row("all, of the emptiest picture", nothing, f"{1000 / nothing[2]:.0f} images a CPU second")


def in_process(pipeline: Pipeline, jpegs: list[bytes], count: int) -> tuple[list[float], float]:
    """Return milliseconds of each picture, and CPU seconds."""
    took, cpu = [], time.thread_time()
    for n in range(count):
        begun = time.perf_counter()
        pipeline.recognize(decode(jpegs[n % len(jpegs)]))
        took.append((time.perf_counter() - begun) * 1000)
    return took, time.thread_time() - cpu


async def served(
    stub: recognizer_pb2_grpc.RecognizerServiceStub, jpegs: list[bytes], count: int, under_way: int
) -> tuple[list[float], float]:
    """Return milliseconds of each picture, and seconds of the wall clock."""
    requests = [recognizer_pb2.RecognizeRequest(image=j) for j in jpegs]
    took: list[float] = []
    numbers = iter(range(count))

    async def caller() -> None:
        for n in numbers:
            begun = time.perf_counter()
            await stub.Recognize(requests[n % len(requests)])
            took.append((time.perf_counter() - begun) * 1000)

    begun = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(under_way)))
    return took, time.perf_counter() - begun


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


async def beside(folder: Path, jpegs: list[bytes], core: int, client_core: int) -> None:
    """Print the service beside the pipeline in process, on the same core, turn by turn."""
    pipeline = Pipeline.load()
    with recognizer(folder, cores={core}, workers=1) as running:
        idle, start_cpu = running.memory_mb(), running.cpu_s()
        async with running.channel() as channel:
            stub = recognizer_pb2_grpc.RecognizerServiceStub(channel)
            await served(stub, jpegs, 20, 2)
            own, own_cpu, away, away_cpu, rates = [], 0.0, [], 0.0, []
            for _ in range(ROUNDS):
                os.sched_setaffinity(0, {core})
                alone, cpu = in_process(pipeline, jpegs, EACH)
                own, own_cpu = own + alone, own_cpu + cpu
                os.sched_setaffinity(0, {client_core})
                before = running.cpu_s()
                took, wall = await served(stub, jpegs, EACH, 2)
                away, away_cpu = away + took, away_cpu + running.cpu_s() - before
                rates.append((EACH / (sum(alone) / 1000), EACH / wall))
        count = ROUNDS * EACH
        own_rate, away_rate = (statistics.median(column) for column in zip(*rates, strict=True))
        print(f"\none core, {count} pictures each, turn by turn          in process     service     ratio")
        print(
            f"  images a second, median of {ROUNDS} rounds            {own_rate:10.1f}  {away_rate:10.1f}  {away_rate / own_rate:8.2f}"
        )
        best = [max(column) for column in zip(*rates, strict=True)]
        print(
            f"  images a second, best round                  {best[0]:10.1f}  {best[1]:10.1f}  {best[1] / best[0]:8.2f}"
        )
        print(
            f"  images a CPU second                          {count / own_cpu:10.1f}  {count / away_cpu:10.1f}"
            f"  {own_cpu / away_cpu:8.2f}"
        )
        for name, values in (("in process", own), ("service, 2 under way", away)):
            p50, p99 = percentile(values, 0.5), percentile(values, 0.99)
            print(f"  {name:<22} p50 {p50:6.1f} ms   p99 {p99:6.1f} ms   p99/p50 {p99 / p50:5.2f}")
        print(
            f"  start to SERVING {running.started_s:.2f} s ({start_cpu:.2f} s CPU); resident {idle:.0f} MB idle, {running.memory_mb('VmHWM'):.0f} MB at most"
        )


async def camera(
    stub: recognizer_pb2_grpc.RecognizerServiceStub, name: str, jpegs: list[bytes], begin_s: float
) -> tuple[int, list[float]]:
    """Follow one camera for a while; return frames dropped, and seconds from sending to acknowledgement."""
    call: Any = stub.RecognizeStream()
    sent: dict[int, float] = {}
    late: list[float] = []
    dropped = 0

    async def send() -> None:
        await asyncio.sleep(begin_s)
        begun = time.perf_counter()
        for n in range(int(CAMERA_S * CAMERA_FPS)):
            await asyncio.sleep(max(0.0, begun + n / CAMERA_FPS - time.perf_counter()))
            message = recognizer_pb2.RecognizeStreamRequest(
                camera_id=name, frame=n + 1, image=jpegs[n % len(jpegs)]
            )
            message.captured_at.FromDatetime(datetime.now(UTC))
            sent[n + 1] = time.perf_counter()
            await call.write(message)
        await call.done_writing()

    sending = asyncio.create_task(send())
    acknowledged = 0
    while (answer := await call.read()) is not grpc.aio.EOF:
        if not answer.HasField("sighting"):
            acknowledged += 1
            late.append(time.perf_counter() - sent.get(acknowledged + answer.dropped, time.perf_counter()))
        dropped = answer.dropped
    await sending
    return dropped, late


async def carried(running: RunningRecognizer, jpegs: list[bytes], count: int) -> bool:
    """Follow so many cameras; say whether no frame was dropped and answers were in time."""
    async with running.channel() as channel:
        stub = recognizer_pb2_grpc.RecognizerServiceStub(channel)
        cpu, begun = running.cpu_s(), time.perf_counter()
        runs = await asyncio.gather(
            *(camera(stub, f"cam-{n}", jpegs, n / count / CAMERA_FPS) for n in range(count))
        )
    dropped = sum(d for d, _ in runs)
    late = percentile([s for _, each in runs for s in each], 0.99)
    used = running.cpu_s() - cpu
    cores = used / (time.perf_counter() - begun)
    each = used / max(1, sum(len(late) for _, late in runs))
    fine = dropped == 0 and late <= LATE_S
    print(
        f"  {count:3d} cameras: {dropped:4d} frames dropped, p99 of the answers {late * 1000:6.0f} ms, {cores:.2f} cores,"
        f" {each * 1000:.1f} ms CPU a frame (a core of its own: {1 / each / CAMERA_FPS:.0f} cameras)"
        f"   {'carried' if fine else 'too many'}",
        flush=True,
    )
    return fine


async def cameras(folder: Path, jpegs: list[bytes], cores: set[int], most: int) -> None:
    """Print how many cameras are carried: doubled until it is too many, then halved in between."""
    print(f"\ncameras at {CAMERA_FPS} frames a second, {len(cores)} cores shared with the cameras themselves")
    with recognizer(folder, cores=cores, workers=len(cores)) as running:
        low, high = 0, 4
        while high <= most and await carried(running, jpegs, high):
            low, high = high, high * 2
        while high - low > 2 and low < most:
            middle = (low + high) // 2
            low, high = (middle, high) if await carried(running, jpegs, middle) else (low, middle)
        print(f"  this machine carries {low} cameras; {running.memory_mb('VmHWM'):.0f} MB resident at most")


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.load.bench_recognizer", description=__doc__)
    parser.add_argument("--most", type=int, default=64, help="most cameras that are tried (default 64)")
    parser.add_argument("--parts", default="stages,service,cameras", help="what is measured, of these three")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    images = list(Clip(11, fps=CAMERA_FPS, passes=["7KXR482", "8ABC123"]))
    jpegs = [bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 90])[1]) for image in images]
    size = f"{images[0].shape[1]} x {images[0].shape[0]}"
    print(
        f"{len(jpegs)} frames of {size}, {statistics.mean(map(len, jpegs)) / 1000:.0f} kB each; load {os.getloadavg()[0]:.1f} on {len(cores)} cores"
    )
    del images
    gc.collect()
    os.sched_setaffinity(0, {cores[0]})
    if "stages" in options.parts:
        stages(jpegs)
    with tempfile.TemporaryDirectory() as folder:
        if "service" in options.parts:
            uvloop.run(beside(Path(folder) / "a", jpegs, cores[0], cores[-1]))
        os.sched_setaffinity(0, cores)
        if "cameras" in options.parts:
            uvloop.run(cameras(Path(folder) / "b", jpegs, set(cores), options.most))
    return 0


if __name__ == "__main__":
    sys.exit(main())
