-- The gram of a whole text from 2 thousand million numbers instead of 19 thousand: a whole plate, its look-alikes and what the
-- reader also held are found by one look for one gram, which no other plate of a day shares. Numbers from 65536 on (grams.py).
CREATE FUNCTION text_grams(plate text, candidates text[]) RETURNS int[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    grams int[] := '{}';
    alphabet text := '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ';
    one text;
    codes int[];
    digest bytea;
    number bigint;
    gram int;
BEGIN
    FOREACH one IN ARRAY array_prepend(plate, candidates) LOOP
        CONTINUE WHEN one = '';
        one := translate(one, 'BDGILOQSZ', '806110052');
        digest := sha256(convert_to(one, 'UTF8'));
        number := get_byte(digest, 0);
        FOR place IN 1..3 LOOP
            number := number * 256 + get_byte(digest, place);
        END LOOP;
        gram := 65536 + number % 2147418112;
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

ALTER TABLE reads ALTER COLUMN grams TYPE int[];
ALTER TABLE reads ALTER COLUMN grams SET EXPRESSION AS (text_grams(plate, candidates));
ALTER TABLE held_reads ALTER COLUMN grams TYPE int[];
ALTER TABLE held_reads ALTER COLUMN grams SET EXPRESSION AS (text_grams(plate, candidates));
DROP FUNCTION plate_grams(text, text[]);
