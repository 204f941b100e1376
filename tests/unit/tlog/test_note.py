"""Signed notes: the keys and note of the Go checksum database's note package, the C2SP examples, strictness."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlog.note import (
    KeyType,
    Note,
    NoteError,
    Signature,
    SignerKey,
    VerifierKey,
    cosign_note,
    open_note,
    parse_note,
    sign_note,
)

pytestmark = pytest.mark.req("R-AUD-1")
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_PRIVATE = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
ENOCH = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
PETER_LINE = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
ENOCH_LINE = "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"
COSIGNED = """example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
"""


@pytest.fixture
def peter():
    return VerifierKey.parse(PETER)


@pytest.fixture
def enoch():
    return VerifierKey.parse(ENOCH)


@pytest.mark.parametrize(
    ("note", "reason"),
    [
        ("", "no empty line"),
        (TEXT, "no empty line"),
        (TEXT + "\n", "no signature"),
        ("\n\n" + PETER_LINE, "no text"),
        ("\n" + PETER_LINE, "no empty line"),
        (TEXT + "\n" + PETER_LINE[:-1], "does not end in a newline"),
        ("\x01" + TEXT + "\n" + PETER_LINE, "control character"),
        (TEXT + "\r\n" + PETER_LINE, "control character"),
        (b"\xff" + (TEXT + "\n" + PETER_LINE).encode(), "not valid UTF-8"),
        ("\ud800" + TEXT + "\n" + PETER_LINE, "not valid UTF-8"),
        (TEXT + "\n" + PETER_LINE.replace("Peter", "Pe ter"), "line 1 does not read"),
        (TEXT + "\n" + PETER_LINE.replace("Peter", "Pe\u2003ter"), "holds a space"),
        (TEXT + "\n" + PETER_LINE.replace("Peter", "Pe+ter"), "a plus"),
        (TEXT + "\n" + PETER_LINE + "Unexpected line.\n", "line 2 does not read"),
        (TEXT + "\n" + PETER_LINE.replace("—", "-"), "line 1 does not read"),
        (TEXT + "\n" + PETER_LINE.replace("=", ""), "not base64"),
        (TEXT + "\n" + PETER_LINE.replace("wJnAM=", "wJnAN="), "not canonical base64"),
        (TEXT + "\n— PeterNeumann x08gow==\n", "too short"),
        (TEXT + "\n" + PETER_LINE * 101, "101 signatures"),
        ("x" * 1_000_001, "1000000 is the most"),
    ],
)
def test_malformed_notes_are_refused_with_the_reason(note, reason, peter):
    with pytest.raises(NoteError, match=reason):
        open_note(note, [peter])


def test_the_reference_note_is_made_byte_for_byte():
    assert sign_note(TEXT, SignerKey.parse(PETER_PRIVATE)) == TEXT + "\n" + PETER_LINE


def test_keys_are_read_and_written_byte_for_byte(peter):
    signer = SignerKey.parse(PETER_PRIVATE)
    assert str(peter) == PETER
    assert signer.encode() == PETER_PRIVATE
    assert signer.verifier == peter
    assert "AYEKFALV" not in repr(signer)
    assert repr(signer.seed) not in repr(signer)


@pytest.mark.parametrize(("text", "kind"), [(PETER, VerifierKey), (PETER_PRIVATE, SignerKey)])
def test_every_mangled_key_is_refused(text, kind):
    for start in range(len(text) + 1):
        for end in range(start, len(text) + 1):
            if end - start < len(text):
                with pytest.raises(NoteError):
                    kind.parse(text[start:end])
    for at in range(len(text)):
        with pytest.raises(NoteError):
            kind.parse(text[:at] + chr(ord(text[at]) + 1) + text[at + 1 :])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
            "not canonical base64",
        ),
        ("PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "type that is not known"),
        ("PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "its ID is c74f20a3"),
        ("PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "its ID is c74f20a3"),
    ],
)
def test_bad_keys_say_why(text, reason):
    with pytest.raises(NoteError, match=reason):
        VerifierKey.parse(text)


def test_known_signatures_are_verified_and_unknown_ones_kept(peter, enoch):
    note = TEXT + "\n" + PETER_LINE + ENOCH_LINE
    opened = open_note(note, [peter])
    assert opened.text == TEXT
    assert [line.line for line in opened.verified] == [PETER_LINE]
    assert [line.line for line in opened.unverified] == [ENOCH_LINE]
    both = open_note(note.encode(), [peter, enoch, enoch])
    assert [line.name for line in both.verified] == ["PeterNeumann", "EnochRoot"]
    assert both.unverified == ()
    assert str(parse_note(note)) == note


def test_no_trusted_key_signed(enoch):
    for keys in ([], [enoch]):
        with pytest.raises(
            NoteError, match=r"no trusted key signed the note; it is signed by PeterNeumann\+c74f20a3"
        ):
            open_note(TEXT + "\n" + PETER_LINE, keys)


def test_a_known_keys_bad_signature_refuses_the_note(peter, enoch):
    bad = PETER_LINE[:60] + "ABCD" + PETER_LINE[60:]
    with pytest.raises(NoteError, match=r"PeterNeumann\+c74f20a3 does not verify"):
        open_note(TEXT + "\n" + ENOCH_LINE + bad, [peter, enoch])
    with pytest.raises(NoteError, match="does not verify"):
        open_note(TEXT.replace("think", "thinc") + "\n" + PETER_LINE, [peter])


def test_two_different_keys_of_one_name_and_id_are_refused(peter):
    double = VerifierKey(peter.name, peter.kind, bytes(32))
    object.__setattr__(double, "key_id", peter.key_id)
    with pytest.raises(NoteError, match="two different keys share"):
        open_note(TEXT + "\n" + PETER_LINE, [peter, double])


def test_repeated_signatures_count_once(peter):
    bad = ENOCH_LINE[:60] + "ABCD" + ENOCH_LINE[60:]
    opened = open_note(TEXT + "\n" + PETER_LINE * 2 + ENOCH_LINE * 2 + bad, [peter])
    assert len(opened.verified) == 1
    assert [line.line for line in opened.unverified] == [ENOCH_LINE, bad]


def test_the_last_empty_line_separates():
    signer = SignerKey.generate("quasimodo.example/salvatore")
    text = "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n"
    assert open_note(sign_note(text, signer), [signer.verifier]).text == text
    looks_signed = TEXT + "\n" + PETER_LINE
    assert open_note(sign_note(looks_signed, signer), [signer.verifier]).text == looks_signed


@pytest.mark.parametrize("text", ["", "\n", "abc", "a\tb\n", "a\r\n"])
def test_what_is_no_note_text_is_not_signed(text):
    with pytest.raises(NoteError):
        sign_note(text, SignerKey.parse(PETER_PRIVATE))


def test_signing_needs_a_key_and_no_witness():
    with pytest.raises(NoteError, match="needs a signature"):
        sign_note(TEXT)
    with pytest.raises(NoteError, match="needs a time"):
        sign_note(TEXT, SignerKey.generate("w", KeyType.COSIGNATURE_V1))
    with pytest.raises(NoteError, match="holds no time"):
        SignerKey.parse(PETER_PRIVATE).sign(TEXT, 1)


def test_the_cosigned_example_of_the_specification_is_parsed():
    log, witness = parse_note(COSIGNED).signatures
    assert (witness.name, witness.key_id.hex(), witness.time) == (
        "witness.example.com/w1",
        "8d66cf3f",
        1679315147,
    )
    assert str(parse_note(COSIGNED)) == COSIGNED
    with pytest.raises(NoteError, match="64 bytes, not 72"):
        _ = log.time
    with pytest.raises(NoteError, match="above 2"):
        _ = Signature("w", b"1234", b"\xff" * 72).time


def test_a_cosignature_signs_header_time_and_text(peter):
    witness = SignerKey.generate("witness.example.com/w1", KeyType.COSIGNATURE_V1)
    plain = SignerKey(witness.name, KeyType.ED25519, witness.seed)
    cosigned = cosign_note(TEXT + "\n" + PETER_LINE, witness, 1679315147)
    opened = open_note(cosigned, [peter, witness.verifier])
    line = opened.verified[1]
    assert line.time == 1679315147
    assert line.value[8:] == plain.sign(f"cosignature/v1\ntime 1679315147\n{TEXT}").value
    assert plain.verifier.key_id != witness.verifier.key_id
    assert VerifierKey.parse(str(witness.verifier)) == witness.verifier
    assert SignerKey.parse(witness.encode()) == witness
    assert len(parse_note(cosign_note(cosigned, witness, 1679315148)).signatures) == 2
    moved = Signature(line.name, line.key_id, (1679315146).to_bytes(8, "big") + line.value[8:])
    with pytest.raises(NoteError, match="does not verify"):
        open_note(str(Note(TEXT, (moved,))), [witness.verifier])


@pytest.mark.parametrize("time", [-1, 1 << 63])
def test_a_cosignature_has_a_possible_time(time):
    with pytest.raises(NoteError, match="needs a time"):
        cosign_note(TEXT + "\n" + PETER_LINE, SignerKey.generate("w", KeyType.COSIGNATURE_V1), time)


def test_cosigning_is_for_witnesses_and_has_a_bound():
    with pytest.raises(NoteError, match="not a witness"):
        cosign_note(TEXT + "\n" + PETER_LINE, SignerKey.parse(PETER_PRIVATE), 1)
    with pytest.raises(NoteError, match="100 signatures already"):
        cosign_note(TEXT + "\n" + PETER_LINE * 100, SignerKey.generate("w", KeyType.COSIGNATURE_V1), 1)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u00a0b", "a\nb"])
def test_bad_names_make_no_key(name):
    with pytest.raises(NoteError, match="the key name"):
        SignerKey.generate(name)


def test_a_key_has_32_bytes(peter, enoch):
    with pytest.raises(NoteError, match="31 bytes"):
        SignerKey("a", KeyType.ED25519, bytes(31))
    with pytest.raises(NoteError, match=r"by PeterNeumann\+c74f20a3 is not by EnochRoot"):
        enoch.check(TEXT, parse_note(TEXT + "\n" + PETER_LINE).signatures[0])


@given(st.integers(0, 511), st.sampled_from(["text", "signature"]))
def test_any_flipped_bit_is_refused(bit, where):
    line = parse_note(TEXT + "\n" + PETER_LINE).signatures[0]
    text, value = bytearray(TEXT.encode()), bytearray(line.value)
    target = text if where == "text" else value
    target[bit // 8] ^= 1 << bit % 8
    with pytest.raises(NoteError, match="does not verify"):
        VerifierKey.parse(PETER).check(
            text.decode("latin-1"), Signature(line.name, line.key_id, bytes(value))
        )


@given(st.text(max_size=60) | st.binary(max_size=60))
def test_parsing_never_fails_otherwise(note):
    try:
        parsed = parse_note(note)
    except NoteError:
        return
    assert str(parsed).encode() == (note.encode() if isinstance(note, str) else note)
