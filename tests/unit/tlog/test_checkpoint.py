import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlog.checkpoint import Checkpoint, CheckpointError, open_checkpoint
from tlog.hashing import EMPTY_ROOT, leaf_hash
from tlog.note import KeyType, SignerKey, cosign_note, sign_note

pytestmark = pytest.mark.req("R-AUD-1")
ROOT = leaf_hash(b"hello world")
TEXT = "go.sum database tree\n123456789012\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=\n"
LOG = SignerKey.generate("log.example/plates")
NEXT = SignerKey.generate("log.example/plates")
WITNESSES = [SignerKey.generate(f"witness.example/{number}", KeyType.COSIGNATURE_V1) for number in range(3)]


def test_the_empty_log():
    empty = Checkpoint("log.example", 0, EMPTY_ROOT)
    assert Checkpoint.parse(empty.text) == empty
    with pytest.raises(CheckpointError, match="root of the empty tree"):
        Checkpoint("log.example", 0, ROOT)


def test_the_reference_text_is_made_byte_for_byte():
    assert Checkpoint("go.sum database tree", 123456789012, ROOT).text == TEXT
    assert Checkpoint.parse(TEXT + "JOE\n").extensions == ("JOE",)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "at least three lines"),
        (TEXT[:-1], "at least three lines"),
        ("origin\n1\n", "at least three lines"),
        (TEXT.replace("123456789012", "0xabcdef"), "not a decimal"),
        (TEXT.replace("123456789012", "01"), "not a decimal"),
        (TEXT.replace("123456789012", "+1"), "not a decimal"),
        (TEXT.replace("123456789012", "-1"), "not a decimal"),
        (TEXT.replace("123456789012", "\u0661"), "not a decimal"),
        (TEXT.replace("123456789012", "9223372036854775808"), "not within"),
        (TEXT.replace("wBb0=", "wBTOOBIG="), "36 bytes|35 bytes|bytes, not 32|not base64"),
        (TEXT.replace("Bb0=", "Bb1="), "not canonical"),
        (TEXT.replace("=", ""), "not base64"),
        (TEXT.replace("go.sum database tree", ""), "not empty"),
        (TEXT + "\n", "not empty"),
    ],
)
def test_malformed_texts_are_refused_with_the_reason(text, reason):
    with pytest.raises(CheckpointError, match=reason):
        Checkpoint.parse(text)


@given(st.text(max_size=80))
def test_parsing_takes_only_what_is_written(text):
    try:
        checkpoint = Checkpoint.parse(text)
    except CheckpointError:
        return
    assert checkpoint.text == text


def test_opened_by_a_key_of_the_log():
    checkpoint = Checkpoint(LOG.name, 7, ROOT)
    opened = open_checkpoint(checkpoint.sign(LOG), [LOG.verifier])
    assert opened.checkpoint == checkpoint
    assert opened.signed_by == (LOG.name,)
    assert opened.witnesses == ()


def test_key_rotation():
    both = Checkpoint(LOG.name, 7, ROOT).sign(LOG, NEXT)
    for keys in ([LOG.verifier], [NEXT.verifier], [LOG.verifier, NEXT.verifier]):
        assert open_checkpoint(both, keys).checkpoint.size == 7
    with pytest.raises(CheckpointError, match="no trusted key"):
        open_checkpoint(Checkpoint(LOG.name, 7, ROOT).sign(NEXT), [LOG.verifier])


def test_the_origin_is_the_signers_unless_told():
    other = Checkpoint("other.example", 7, ROOT).sign(LOG)
    with pytest.raises(CheckpointError, match=r"of log 'other.example', not of 'log.example/plates'"):
        open_checkpoint(other, [LOG.verifier])
    assert open_checkpoint(other, [LOG.verifier], origin="other.example").checkpoint.size == 7
    with pytest.raises(CheckpointError, match="not of 'third"):
        open_checkpoint(other, [LOG.verifier], origin="third.example")


def test_the_witness_quorum():
    note = Checkpoint(LOG.name, 7, ROOT).sign(LOG)
    for witness in WITNESSES[:2]:
        note = cosign_note(note, witness, 1_700_000_000)
    keys = [witness.verifier for witness in WITNESSES]
    opened = open_checkpoint(note, [LOG.verifier], witnesses=keys, quorum=2)
    assert opened.witnesses == tuple((witness.name, 1_700_000_000) for witness in WITNESSES[:2])
    with pytest.raises(CheckpointError, match="2 of the trusted witnesses cosigned the checkpoint; 3 must"):
        open_checkpoint(note, [LOG.verifier], witnesses=keys, quorum=3)
    with pytest.raises(CheckpointError, match="1 of the trusted witnesses"):
        open_checkpoint(note, [LOG.verifier], witnesses=keys[:1], quorum=2)


def test_witnesses_alone_do_not_make_a_checkpoint():
    note = cosign_note(Checkpoint(LOG.name, 7, ROOT).sign(LOG), WITNESSES[0], 1)
    with pytest.raises(CheckpointError, match="no key of the log signed"):
        open_checkpoint(note, [NEXT.verifier], witnesses=[WITNESSES[0].verifier])


def test_roles_of_keys_are_not_mixed():
    note = Checkpoint(LOG.name, 7, ROOT).sign(LOG)
    with pytest.raises(CheckpointError, match="must be of type 1"):
        open_checkpoint(note, [WITNESSES[0].verifier])
    with pytest.raises(CheckpointError, match="must be of type 4"):
        open_checkpoint(note, [LOG.verifier], witnesses=[NEXT.verifier])


def test_a_signed_note_that_is_no_checkpoint():
    with pytest.raises(CheckpointError, match="at least three lines"):
        open_checkpoint(sign_note("hello\n", LOG), [LOG.verifier])
