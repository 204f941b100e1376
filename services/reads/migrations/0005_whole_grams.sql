-- A gram for the whole text besides those of its characters: a whole plate, its look-alikes and what the reader also held are
-- found by one rare gram instead of several common ones. Numbers from 13888 on: a hash of the folded text (grams.py).
CREATE OR REPLACE FUNCTION plate_grams(plate text, candidates text[]) RETURNS smallint[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    grams smallint[] := '{}';
    alphabet text := '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ';
    one text;
    codes int[];
    digest bytea;
    gram smallint;
BEGIN
    FOREACH one IN ARRAY array_prepend(plate, candidates) LOOP
        CONTINUE WHEN one = '';
        one := translate(one, 'BDGILOQSZ', '806110052');
        digest := sha256(convert_to(one, 'UTF8'));
        gram := 13888 + (get_byte(digest, 0) * 65536 + get_byte(digest, 1) * 256 + get_byte(digest, 2)) % 18880;
        IF gram <> ALL (grams) THEN
            grams := grams || gram;
        END IF;
        codes := '{}';
        FOR place IN 1..length(one) LOOP
            codes := codes || (strpos(alphabet, substr(one, place, 1)) - 1);
        END LOOP;
        FOR place IN 1..length(one) - 1 LOOP
            FOR gap IN 1..least(3, length(one) - place) LOOP
                gram := (((place - 1) * 3 + gap - 1) * 36 + codes[place]) * 36 + codes[place + gap] - 32768;
                IF gram <> ALL (grams) THEN
                    grams := grams || gram;
                END IF;
            END LOOP;
        END LOOP;
    END LOOP;
    RETURN grams;
END $$;

ALTER TABLE reads ALTER COLUMN grams SET EXPRESSION AS (plate_grams(plate, candidates));
ALTER TABLE held_reads ALTER COLUMN grams SET EXPRESSION AS (plate_grams(plate, candidates));
