-- The misuse detectors ask every second for the next answered looks (SEARCH and CANVASS, PHASE_OUTCOME); without this they
-- would read past every other entry of a log of millions to find none.
CREATE INDEX entries_looks ON entries (index) WHERE phase = 2 AND action IN (5, 6);
