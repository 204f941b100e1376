"""Generate the Python stubs in ``gen/`` from ``proto/``.

Rules
-----
1. The proto package is the Python import path (``plateward.reads.v1``), so nothing is rewritten afterwards.
2. protovalidate ships no ``validate.proto``; its descriptor is taken from the installed wheel and handed to protoc,
   and ``buf/validate/validate_pb2.py`` is generated from that same descriptor.
3. The output is committed. ``--check`` regenerates into a temporary folder and fails on any difference.

Usage: ``python tools/protogen.py [--check] [--image FILE]``
"""

from __future__ import annotations

import argparse
import filecmp
import os
import shutil
import sys
import tempfile
from pathlib import Path

import grpc_tools
from google.protobuf import descriptor_pb2
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
GEN = ROOT / "gen"
WELL_KNOWN = Path(grpc_tools.__file__).parent / "_proto"
VALIDATE = "buf/validate/validate.proto"


def _validate_descriptor() -> descriptor_pb2.FileDescriptorProto:
    """Return the descriptor of ``validate.proto`` as the installed protovalidate wheel carries it."""
    from protovalidate._gen.buf.validate import validate_pb

    return descriptor_pb2.FileDescriptorProto.FromString(validate_pb.desc().proto.to_binary())


def _descriptor_set(target: Path) -> Path:
    """Write validate.proto and the well-known files it imports as one descriptor set."""
    well_known = target / "well_known.binpb"
    names = ["google/protobuf/descriptor.proto", "google/protobuf/duration.proto",
             "google/protobuf/field_mask.proto", "google/protobuf/timestamp.proto"]  # fmt: skip
    _protoc(["-I", str(WELL_KNOWN), f"--descriptor_set_out={well_known}", *names])
    files = descriptor_pb2.FileDescriptorSet.FromString(well_known.read_bytes())
    files.file.append(_validate_descriptor())
    out = target / "validate.binpb"
    out.write_bytes(files.SerializeToString())
    return out


def _protoc(arguments: list[str]) -> None:
    # The plugins sit beside this interpreter, also when its environment is not activated.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    code = protoc.main(["protoc", *arguments])
    if code != 0:
        raise SystemExit(
            f"protoc failed with exit code {code}: see the lines above for the file and line to mend"
        )


def generate(out: Path, image: Path | None = None) -> None:
    """Generate all stubs below ``out``; with ``image``, also the descriptor set that ``buf`` lints."""
    protos = sorted(str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto"))
    with tempfile.TemporaryDirectory() as scratch:
        validate = _descriptor_set(Path(scratch))
        common = [f"--descriptor_set_in={validate}", "-I", str(PROTO), "-I", str(WELL_KNOWN)]
        _protoc([*common, f"--python_out={out}", f"--mypy_out=quiet:{out}", VALIDATE, *protos])
        _protoc([*common, f"--grpc_python_out={out}", f"--mypy_grpc_out=quiet:{out}", *protos])
        if image is not None:
            image.parent.mkdir(parents=True, exist_ok=True)
            _protoc(
                [
                    *common,
                    "--include_imports",
                    "--include_source_info",
                    f"--descriptor_set_out={image}",
                    *protos,
                ]
            )
    # Files without a service would otherwise leave empty *_pb2_grpc modules behind.
    for stub in out.rglob("*_pb2_grpc.py"):
        if "Servicer" not in stub.read_text(encoding="utf-8"):
            stub.unlink()
            stub.with_suffix(".pyi").unlink(missing_ok=True)


def _files(root: Path) -> set[str]:
    return {str(p.relative_to(root)) for p in root.rglob("*.py*") if "__pycache__" not in p.parts}


def _check() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch)
        generate(fresh)
        names = _files(fresh) | _files(GEN)
        stale = sorted(
            n for n in names
            if not ((fresh / n).exists() and (GEN / n).exists() and filecmp.cmp(fresh / n, GEN / n, shallow=False))
        )  # fmt: skip
    if stale:
        print("generated code is stale; run `make gen` and commit:", *stale, sep="\n  ")
        return 1
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="fail when gen/ differs from what proto/ gives")
    parser.add_argument("--image", type=Path, help="also write the descriptor set that `buf lint` reads")
    args = parser.parse_args()
    if args.check:
        return _check()
    shutil.rmtree(GEN, ignore_errors=True)
    GEN.mkdir()
    generate(GEN, args.image)
    print(f"generated {len(_files(GEN))} files in {GEN.relative_to(ROOT)}/")
    return 0


if __name__ == "__main__":
    sys.exit(main())
