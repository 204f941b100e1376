"""A table of reads filled by SQL: millions of passes of a county's vehicles over thirty days, in minutes."""

from __future__ import annotations

import sys
import time
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql

from plateward.common.v1 import recognition_pb2
from services.reads.partitions import partition_name, start_of

AGENCY = "elk-grove-pd"
DAYS = 30
CAMERAS = 90
# Of 90 cameras: an ordinary vehicle passes about five times in a month, a few pass daily.
VEHICLES_A_READ = 5
_VEHICLE = "(power(random(), 1.7) * %(vehicles)s)::int"
# Mostly 1AAA111, trucks 1A11111, of other states AAA1111; drawn from a hash, so that a vehicle keeps its plate.
_PLATES = """
CREATE FUNCTION bench_plate(vehicle int) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    draw bytea := sha256(vehicle::text::bytea);
    letters text := 'ABCDEFGHJKLMNPRSTUVWXYZ';
    shape text := CASE WHEN get_byte(draw, 31) < 205 THEN '1AAA111' WHEN get_byte(draw, 31) < 230 THEN '1A11111' ELSE 'AAA1111' END;
    plate text := '';
BEGIN
    FOR place IN 1..7 LOOP
        plate := plate || CASE substr(shape, place, 1)
            WHEN 'A' THEN substr(letters, get_byte(draw, place) % 23 + 1, 1) ELSE (get_byte(draw, place) % 10)::text END;
    END LOOP;
    RETURN plate;
END $$
"""
_FILL = (
    """
INSERT INTO {table} (agency_id, read_id, seen_at, seq, txid, camera_id, latitude, longitude, plate, plate_key, candidates, state,
    vehicle_type, colour, plate_reading, vehicle_reading, plate_crop, vehicle_crop, model_version, frames)
SELECT %(agency)s, uuidv7(seen_at - now()), seen_at, nextval('read_sequence'), pg_current_xact_id(), 'cam-' || camera,
    38.40 + camera * 0.001, -121.40 - camera * 0.001, plate, translate(plate, 'BDGILOQSZ', '806110052'),
    CASE WHEN random() < 0.3 THEN ARRAY[overlay(plate PLACING 'B' FROM 7)] ELSE '{{}}' END,
    'US-CA', 1, 'silver', %(plate_reading)s, %(vehicle_reading)s, '', '', '2026.11-1', 9
FROM (SELECT bench_plate("""
    + _VEHICLE
    + """) AS plate, (random() * %(cameras)s)::int AS camera,
             %(start)s::timestamptz + random() * interval '86399 seconds' AS seen_at
      FROM generate_series(1, %(rows)s)) AS drawn
"""
)
_INDEXES = (
    "ALTER TABLE {t} ADD PRIMARY KEY (agency_id, read_id, seen_at, camera_id)",
    "CREATE INDEX ON {t} (agency_id, plate, seen_at DESC)",
    "CREATE INDEX ON {t} USING gin (grams) WITH (fastupdate = off)",
    "CREATE INDEX ON {t} (agency_id, camera_id, (seen_at AT TIME ZONE 'UTC') DESC)",
    "CREATE INDEX ON {t} (agency_id, (seen_at AT TIME ZONE 'UTC') DESC, read_id DESC)",
    "CREATE INDEX ON {t} (txid, seq)",
)


def prepare(connection: psycopg.Connection[Any]) -> None:
    """Make what filling needs; once a database."""
    connection.execute(_PLATES)


def fill_day(connection: psycopg.Connection[Any], day: date, rows: int, vehicles: int) -> None:
    """Fill a day's partition, index it and attach it: as ingest would have left it, in less time."""
    name = partition_name(AGENCY, day)
    table, start = sql.Identifier(name), start_of(day)
    connection.execute(
        sql.SQL("CREATE TABLE {} (LIKE reads INCLUDING DEFAULTS INCLUDING GENERATED)").format(table)
    )
    values = {
        "agency": AGENCY, "rows": rows, "vehicles": vehicles, "cameras": CAMERAS, "start": start,
        "plate_reading": reading().SerializeToString(), "vehicle_reading": b"\x10\x01" * 12,
    }  # fmt: skip
    connection.execute(sql.SQL(_FILL).format(table=table), values)
    for index in _INDEXES:
        connection.execute(sql.SQL(index).format(t=table))
    bounds = [sql.Literal(at.isoformat()) for at in (start, start + timedelta(days=1))]
    connection.execute(
        sql.SQL("ALTER TABLE reads ATTACH PARTITION {t} FOR VALUES FROM ({a}, {}) TO ({a}, {})").format(
            *bounds, t=table, a=sql.Literal(AGENCY)
        )
    )
    connection.execute("INSERT INTO read_partitions VALUES (%s, %s, %s)", (name, AGENCY, day))
    connection.execute(sql.SQL("VACUUM (ANALYZE, FREEZE) {}").format(table))


def fill(connection: psycopg.Connection[Any], last: date, days: int, rows_a_day: int, vehicles: int) -> None:
    """Fill the ``days`` up to and with ``last``; says how it goes on standard error."""
    began = time.monotonic()
    for number in range(days):
        fill_day(connection, last - timedelta(days=number), rows_a_day, vehicles)
        took = time.monotonic() - began
        sys.stderr.write(f"\rfilled {(number + 1) * rows_a_day:,} reads in {took:.0f} s")
    sys.stderr.write("\n")
    connection.execute("ANALYZE reads")


def reading() -> recognition_pb2.PlateReading:
    """Return a reading of the size that the recognizer gives."""
    made = recognition_pb2.PlateReading(
        text="8ABC123", confidence=0.94, state="US-CA", state_confidence=0.9, readable=True
    )
    for character in made.text:
        made.characters.add(value=character, confidence=0.97)
    for text in ("8ABC123", "8ABC12B"):
        made.candidates.add(text=text, confidence=0.5)
    return made


def midnight() -> datetime:
    """Return the beginning of today."""
    now = datetime.now(UTC)
    return now.replace(hour=0, minute=0, second=0, microsecond=0)
